"""Text made safe to show."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from inventory.visible_text import REPLACEMENT, escaped_json, visible


def test_control_and_invisible_characters_are_replaced() -> None:
    for character in "\x00\x07\x1b\x7f\x85\x9b\u061c\u200b\u200d\u200e\u202e\u2028\u2029\u2066\ufeff\ud800\n\t":
        assert visible(f"a{character}b") == f"a{REPLACEMENT}b", ascii(character)


def test_letters_of_all_scripts_spaces_and_emoji_stay() -> None:
    for text in ("Köln – “Büro”", "東京 支店", "no-break\u00a0space", "العربية", "🚀"):
        assert visible(text) == text


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_escaped_json_is_equal_and_fully_visible(value: object) -> None:
    for option in (0, orjson.OPT_INDENT_2):
        escaped = escaped_json(orjson.dumps(value, option=option).decode())
        assert orjson.loads(escaped) == value
        assert visible(escaped, keep="\n") == escaped


def test_escapes_follow_json() -> None:
    assert escaped_json('"a\u202e\x7f\U000e0041 é\u00a0🚀"') == '"a\\u202e\\u007f\\udb40\\udc41 é\u00a0🚀"'


@given(st.text())
def test_replacement_keeps_length_and_is_idempotent(text: str) -> None:
    assert len(visible(text)) == len(text)
    assert visible(visible(text)) == visible(text)


def test_characters_to_keep_stay() -> None:
    assert visible("a\nb\x1b", keep="\n") == f"a\nb{REPLACEMENT}"
