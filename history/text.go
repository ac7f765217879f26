package history

// Text returns a payload text holding s.
func Text(s string) *string { return &s }

// TextOr returns the text of p, or otherwise if there is none.
func TextOr(p *string, otherwise string) string {
	if p == nil {
		return otherwise
	}
	return *p
}
