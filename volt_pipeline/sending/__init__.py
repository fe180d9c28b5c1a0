"""Texts that are meant to be sent: who may get them and when, what an attempt showed, and how it is read back."""
