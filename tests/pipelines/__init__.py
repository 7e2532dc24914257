"""The pipelines' own files, linted and run. Marked `pipeline`: `make test T="-m pipeline"`."""
