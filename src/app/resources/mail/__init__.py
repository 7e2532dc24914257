"""Trying the mail settings."""
