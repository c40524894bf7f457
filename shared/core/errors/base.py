"""What can go wrong, each as a class: its docstring is the sentence that the user reads.

The words in braces are the keyword arguments of the constructor. `code` (the class name in
snake case) goes into result rows, problem documents and logs. The HTTP status with which the API
answers an error stands in `api.statuses`.
"""

from __future__ import annotations

import inspect
import re
from typing import ClassVar


class VoxmoodError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "voxmood_error"

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        sentence = " ".join(inspect.cleandoc(type(self).__doc__ or "").split())
        super().__init__(sentence.format(**facts))
