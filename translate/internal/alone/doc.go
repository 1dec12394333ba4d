// Package alone runs a test once more in a process of its own, so that its processor time and its memory can be told from those of everything else.
// Tests of the translators use it, for descriptions that are large or meant to harm.
package alone
