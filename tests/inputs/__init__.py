"""Every kind of archive and recording, good and bad, and what becomes of it.

Tables for two readers: `docs/inputs.md` shows them (`tests.inputs_page`), and the acceptance test sends each
row through the real stack. What is good has no sentence.
"""
