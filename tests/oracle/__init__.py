# SPDX-License-Identifier: Apache-2.0
"""The second oracle: the node problem as an integer programme, in plain Python.

It reads the JSON forms of a Machine and a Request and a plain state, and shares no code
with topoalloc. `docs/objective.md` is what it follows.
"""
