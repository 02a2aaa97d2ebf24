"""Text files of every kind as cues: the good ones kept, the bad ones told by line, nothing able to grow."""

from __future__ import annotations

import codecs
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captions import markup
from captions.decode import decode
from captions.reading import MAX_BYTES, MAX_CUES, Read, Unreadable, read
from media.cues import Cue, Problem, from_json, past_the_end, to_json


def lines(found: Read) -> list[tuple[int, str]]:
    return [(problem.line, problem.detail) for problem in found.problems]


def test_srt_as_it_is_found_in_the_wild() -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:02,500\n<i>Hi & <b>bo</i> {\\an8}5 < 6 --> x\n\n"
        "2\nno times\n\n"
        "3\n00:00:0x,1 --> 00:00:02,000\nbad times\n"
        "4\n00:00:09,1 --> 00:00:08,0\nends too soon\n\n"
        "5\n00:00:04.000 --> 00:00:05.000\ngood\n\nafter a blank line\n"
        "00:00:06:000 --> 00:00:07:000\nno blank line, no counter\n"
        "7\n-00:00:01,000 --> 00:00:00,500\nfrom before\n\n"
        "8\n00:00:08,000 --> 00:00:09,000\n \n"
    )
    found = read(text.encode())
    assert found.cues == (
        Cue(0, 500, "from before"),
        Cue(1000, 2500, "<i>Hi &amp; <b>bo</b></i> 5 &lt; 6 --&gt; x", "line:5%"),
        Cue(4000, 5000, "good\nafter a blank line"),
        Cue(6000, 7000, "no blank line, no counter"),
    )
    assert lines(found) == [
        (5, "The cue has no times."),
        (9, "The times of the cue cannot be read."),
        (12, "The cue ends before it begins."),
        (23, "The cue begins before the title; it is shown from the title's beginning."),
        (23, "The cue begins before the one above it; cues were sorted by time."),
        (27, "The cue has no text."),
    ]


def test_webvtt_keeps_what_players_know_and_reports_the_rest() -> None:
    text = (
        "WEBVTT - a film\n\nSTYLE\n::cue { color: url(http://x/) }\n\nNOTE nothing\n\n"
        "name\n00:01.000 --> 00:02.000 line:0 region:x align:start size:900000%\n"
        "<v Bob>Hello <c.yellow>you</c> <00:01.500>x &amp; y<script>\n\n"
        "00:00:03.000-->00:00:04.000\nno spaces\n\nlost words\n"
    )
    found = read(text.encode())
    assert found.cues == (
        Cue(1000, 2000, "<v Bob>Hello <c.yellow>you</c> x &amp; y</v>", "line:0 align:start"),
        Cue(3000, 4000, "no spaces"),
    )
    assert lines(found) == [(3, "Style blocks are not taken over."), (15, "This text belongs to no cue.")]
    assert read(b"WEBVTT\n00:01.000 --> 00:02.000\nno blank line\n").cues == (Cue(1000, 2000, "no blank line"),)


def test_ass_keeps_words_styles_and_places() -> None:
    text = (
        "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Alignment\nStyle: Default,2\nStyle: Top,8\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:03.00,0:00:04.50,Default,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}\n"
        "Dialogue: 0,0:00:01.00,0:00:02.50,Top,,0,0,0,,{\\i1}Hello{\\i0}, you\\Nline two {\\pos(1,2)}<b>\n"
        "Dialogue: 0,0:00:00.00,0:00:00.50,Default,,0,0,0,,{\\an1}left\n"
        "Dialogue: broken\nComment: 0,0:00:01.00,0:00:02.50,Top,,0,0,0,,no\n"
    )
    found = read(text.encode())
    assert found.format == "ass"
    assert found.cues == (
        Cue(0, 500, "left", "position:5% align:start"),
        Cue(1000, 2500, "<i>Hello</i>, you\nline two &lt;b&gt;", "line:5%"),
    )
    assert lines(found) == [(14, "The times of the cue cannot be read.")]


TTML = """<?xml version="1.0"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:tts="http://www.w3.org/ns/ttml#styling" xmlns:ttp="x" ttp:frameRate="25" ttp:tickRate="100">
<head><styling><style xml:id="s1" tts:fontStyle="italic"/></styling>
<layout><region xml:id="r1" tts:displayAlign="before"/></layout></head><body begin="1s"><div>
<p begin="00:00:01:05" end="00:00:02.5" style="s1" region="r1">Hello<br/>you <span tts:fontWeight="bold">bold</span></p>
<p begin="zz" end="1s">bad</p><p begin="300t" dur="1s">  a
  b &amp; c</p><p begin="9s">no end</p></div></body></tt>"""


def test_ttml_times_are_relative_and_styles_are_kept() -> None:
    found = read(TTML.encode())
    assert found.cues == (Cue(2200, 3500, "<i>Hello\nyou <b>bold</b></i>", "line:5%"), Cue(4000, 5000, "a b &amp; c"))
    assert lines(found) == [(6, "The times of the cue cannot be read."), (7, "The cue has no end.")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no SRT"),
        (b"\x00\x01\x02 film", "no SRT"),
        (b"WEBVTT\n", "Line 1: There is no cue in the file."),
        (b"WEBVTT\n\n00:02.000 --> 00:01.000\nx\n", "Line 3: The cue ends before it begins."),
        (b"<tt><body><p begin='0s' end='1s'>x</p>", "Line 1: The file is not well-formed XML"),
        (b'<!DOCTYPE tt [<!ENTITY a "x">]><tt><p>&a;</p></tt>', "document type"),
        (b"<tt>" + b"<div>" * 3000 + b"</div>" * 3000 + b"</tt>", "nested too deeply"),
        (b"x" * (MAX_BYTES + 1), "5 MB"),
    ],
)
def test_files_without_a_usable_cue_are_refused_in_words(data: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read(data)


def test_bounds() -> None:
    many = "WEBVTT\n\n" + "".join(f"00:00:00.000 --> 00:00:01.000\n{number}\n\n" for number in range(MAX_CUES + 3))
    found = read(many.encode())
    assert len(found.cues) == MAX_CUES
    assert "3 are left out from here on" in found.problems[-1].detail
    bad = read(("00:00:01,000 --> 00:00:02,000\nx\n\n" + "00:00:02,000 --> 00:00:01,000\nx\n\n" * 1000).encode())
    assert len(bad.problems) == 201
    assert bad.problems[-1].detail == "800 more problems follow."


WORDS = "1\r\n00:00:01,000 --> 00:00:02,000\r\n{}\r\n"


@pytest.mark.parametrize(
    ("words", "encoding", "mark"),
    [
        ("Grüße, ça va", "utf-8", codecs.BOM_UTF8), ("Grüße", "utf-16-le", codecs.BOM_UTF16_LE), ("Grüße", "utf-16-be", b""),
        ("Grüße", "utf-16-le", b""), ("日本語", "utf-8", b""),
    ],
)  # fmt: skip
def test_encodings_that_say_what_they_are(words: str, encoding: str, mark: bytes) -> None:
    found = read(mark + WORDS.format(words).encode(encoding))
    assert found.cues == (Cue(1000, 2000, words),)
    assert found.problems == ()


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        ("Être ou ne pas être, voilà la question que nous posons à l’élève déçu", "cp1252"),
        ("Zażółć gęślą jaźń, powiedział, i poszedł do łóżka, żeby wreszcie odpocząć", "cp1250"),
        ("我们昨天在公园里看到了一只很大的狗，它跑得非常快", "gb18030"),
        ("Съешь ещё этих мягких французских булок, да выпей чаю и приходи завтра утром", "cp1251"),
    ],
)
def test_older_encodings_are_guessed_and_said(words: str, encoding: str) -> None:
    found = read(WORDS.format(words).encode(encoding))
    assert found.cues == (Cue(1000, 2000, words),)
    assert "not UTF-8" in found.problems[0].detail


@given(st.binary(max_size=400))
@settings(max_examples=150)
def test_no_bytes_break_the_reader(data: bytes) -> None:
    decode(data)
    for head in (b"", b"WEBVTT\n\n", b"1\n00:00:01,000 --> 00:00:02,000\n", b"<tt>", b"[Events]\n"):
        try:
            found = read(head + data)
        except Unreadable:
            continue
        assert from_json(to_json(found.cues)) == found.cues
        assert all(0 <= cue.start_ms < cue.end_ms and "-->" not in cue.text and "\n\n" not in cue.text for cue in found.cues)


@given(st.text(st.sampled_from("<>/&;ibucv.lang ruby\n-{}\\"), max_size=60), st.booleans())
def test_cleaned_text_is_clean_already(text: str, vtt: bool) -> None:
    once = markup.clean(text, vtt=vtt)
    assert markup.clean(once, vtt=True) == once or not once
    assert "-->" not in once


def test_what_lies_behind_the_end_is_said_in_one_sentence() -> None:
    cues = (Cue(0, 1000, "a"), Cue(1500, 3000, "b"), Cue(2000, 2500, "c"), Cue(9000, 9500, "d"))
    assert past_the_end(cues, Fraction(2)) == (
        Problem(0, "2 cues begin after the end of the title and cannot be shown."),
        Problem(0, "1 cue lasts longer than the title and is cut at its end."),
    )
