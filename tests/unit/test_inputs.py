"""The page about inputs says what the acceptance test checks."""

from tests.inputs_page import PAGE, page


def test_the_page_about_inputs_shows_the_tables_that_are_tested() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "python -m tests.inputs_page writes it anew"
