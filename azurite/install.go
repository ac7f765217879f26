package azurite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// Version is the version of Azurite that is installed and run. Newer ones want newer versions of
// Node.js than many machines have.
const Version = "3.35.0"

const (
	// npmWaitDelay is how long npm may take to end after it was told to.
	npmWaitDelay = 5 * time.Second
	// staleAfter is the age at which a half install is certainly abandoned.
	staleAfter = time.Hour
	// lockPause is the time between two tries to become the one process that installs.
	lockPause = 200 * time.Millisecond
)

// Install makes sure that Azurite is installed and returns the path of its JavaScript entry. If
// it is, nothing is changed and npm is not needed. Any number of processes may call it at once:
// an installation appears complete or not at all.
func Install(ctx context.Context, opts *Options) (string, error) {
	filled, err := opts.withDefaults()
	if err != nil {
		return "", err
	}
	return install(ctx, filled)
}

func install(ctx context.Context, opts *Options) (string, error) {
	target := filepath.Join(opts.CacheDir, "azurite-"+Version)
	if installed(target) {
		return entry(target), nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", ErrNoNpm
	}
	if err := os.MkdirAll(opts.CacheDir, 0o755); err != nil {
		return "", fmt.Errorf("azurite: create directory to install to: %w", err)
	}
	unlock, err := lockInstall(ctx, target+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if installed(target) { // by the process that had the lock before
		return entry(target), nil
	}
	removeStale(target)
	opts.Progress(fmt.Sprintf("Installing Azurite %s with npm (once, about 190 MB in %s)", Version, target))
	return entry(target), installWith(ctx, npm, target)
}

// installWith installs into a temporary sibling and renames it, so that nobody sees half of it.
func installWith(ctx context.Context, npm, target string) (err error) {
	temp, err := os.MkdirTemp(filepath.Dir(target), filepath.Base(target)+".tmp-")
	if err != nil {
		return fmt.Errorf("azurite: create temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()

	if err := runNpm(ctx, npm, temp); err != nil {
		return err
	}
	if !installed(temp) {
		return fmt.Errorf("%w: npm reported success, but %s does not exist", ErrInstall, entry(temp))
	}
	if err := os.Rename(temp, target); err == nil || installed(target) {
		return nil // ours, or that of another process where there are no locks
	}
	// What is there is damaged: somebody removed a part of it.
	if err := os.RemoveAll(target); err != nil {
		return fmt.Errorf("azurite: remove damaged installation: %w", err)
	}
	if err := os.Rename(temp, target); err != nil {
		return fmt.Errorf("azurite: move installation into place: %w", err)
	}
	return nil
}

func runNpm(ctx context.Context, npm, dir string) error {
	// No script of a package has to run for Azurite to work, so none may.
	command := exec.CommandContext(ctx, npm, "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts",
		"--no-save", "--no-package-lock", "--no-update-notifier", "--omit=dev", "--loglevel=error", "azurite@"+Version)
	command.Dir = dir
	command.WaitDelay = npmWaitDelay
	output := new(output)
	command.Stdout, command.Stderr = output, output
	err := command.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("azurite: install: %w", context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("%w: npm install azurite@%s: %w%s", ErrInstall, Version, err, output.tail())
	}
	return nil
}

// entry is Azurite's JavaScript entry below an installation.
func entry(dir string) string {
	return filepath.Join(dir, "node_modules", "azurite", "dist", "src", "azurite.js")
}

func installed(dir string) bool {
	info, err := os.Stat(entry(dir))
	return err == nil && info.Mode().IsRegular()
}

// removeStale removes what crashed installations left behind. It is only tidiness, so errors do
// not matter.
func removeStale(target string) {
	temps, _ := filepath.Glob(target + ".tmp-*") // fails for malformed patterns only: then nothing is tidied
	for _, temp := range temps {
		if info, err := os.Stat(temp); err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = os.RemoveAll(temp) // the next installation tries again
		}
	}
}

// lockInstall waits until no other process installs, which saves downloads; correctness is in the
// rename. It returns what gives the lock up. Where locks do not work everybody has it.
func lockInstall(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("azurite: directory to install to is not writable: %w", err)
		}
		return nil, fmt.Errorf("azurite: open lock: %w", err)
	}
	for {
		busy := tryLock(file)
		if !busy {
			return func() { _ = file.Close() }, nil // closing cannot lose data: none was written
		}
		if !run.Sleep(ctx, lockPause) {
			_ = file.Close()
			return nil, fmt.Errorf("azurite: wait for another installation: %w", context.Cause(ctx))
		}
	}
}
