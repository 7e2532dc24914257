"""Signing in. The one room that calls another: users."""
