package diagnosis

import (
	"fmt"
	"strings"
	"time"
)

// when returns a time as people read it.
func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// span returns a duration as people read it.
func span(d time.Duration) string {
	switch d = d.Abs(); {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	case d >= time.Minute:
		return d.Round(time.Second).String()
	default:
		return d.Round(100 * time.Millisecond).String()
	}
}

// offset says by how much a clock is wrong, and in which direction.
func offset(d time.Duration) string {
	if d > 0 {
		return span(d) + " ahead"
	}
	return span(d) + " behind"
}

// plural returns the number with the right form of the word.
func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// were returns the number with the right form of the word, what follows the word, and the verb.
func were(n int, word, after string) string {
	text := plural(n, word)
	if after != "" {
		text += " " + after
	}
	if n == 1 {
		return text + " was"
	}
	return text + " were"
}

// article returns a word after the article that it takes.
func article(word string) string {
	if word != "" && strings.ContainsRune("AEIOUaeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}
