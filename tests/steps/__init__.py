# SPDX-License-Identifier: Apache-2.0
"""How much work each question is: pinned, and never up to the step limit."""
