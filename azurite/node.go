package azurite

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// minNodeMajor is what the pinned Azurite asks for.
const minNodeMajor = 10

// findNode returns the path of a Node.js that can run Azurite.
func findNode(ctx context.Context) (string, error) {
	path, err := exec.LookPath("node")
	if err != nil {
		return "", ErrNoNode
	}
	output, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("azurite: run %s --version: %w", path, err)
	}
	return path, checkNodeVersion(path, strings.TrimSpace(string(output)))
}

func checkNodeVersion(path, version string) error {
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	number, err := strconv.Atoi(major)
	if err != nil {
		return fmt.Errorf("azurite: %s says it is version %q, which is no version of Node.js", path, version)
	}
	if number < minNodeMajor {
		return fmt.Errorf("%w: %s is %s, Azurite %s needs %d or newer", ErrNodeTooOld, path, version, Version, minNodeMajor)
	}
	return nil
}
