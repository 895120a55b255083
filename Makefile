# SPDX-License-Identifier: Apache-2.0
# Two commands do everything on a fresh machine; nox --list names the rest.
PYTHON ?= python3
NOX := .venv/bin/nox

.PHONY: demo test
demo test:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  f"$(PYTHON): it is {sys.version.split()[0]}, want 3.11 or newer (make PYTHON=...)")'
	@test -x $(NOX) || { $(PYTHON) -m venv .venv && \
	  .venv/bin/python -m pip install --quiet 'nox==2026.10.20'; }
	@$(NOX) --session $(if $(filter demo,$@),demo,tests)
