package cli

import (
	"bufio"
	"fmt"
	"strings"
)

// confirm lets a person agree to what cannot be undone. Where nobody can be asked, yes has to be
// given beforehand.
func (p *program) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if !isTerminal(p.In) {
		return usagef("%s needs --yes, because nobody can be asked", question)
	}
	answer := p.ask(question + "? [y/N] ")
	if answer != "y" && answer != "yes" {
		return usagef("%s: not confirmed", question)
	}
	return nil
}

// confirmName lets a person repeat the name of what is to be deleted.
func (p *program) confirmName(given, name, question string) error {
	switch {
	case given == name:
		return nil
	case given != "":
		return usagef("--confirm %q: must be the name of the hub, %q", given, name)
	case !isTerminal(p.In):
		return usagef("%s needs --confirm %s, because nobody can be asked", question, name)
	}
	if p.ask(question+"? Type its name to confirm: ") != name {
		return usagef("%s: not confirmed", question)
	}
	return nil
}

// ask returns one line of standard input. No answer is a refusal.
func (p *program) ask(question string) string {
	fmt.Fprint(p.Err, question)
	line, err := bufio.NewReader(p.In).ReadString('\n')
	if err != nil {
		fmt.Fprintln(p.Err)
	}
	return strings.TrimSpace(line)
}
