"""Awkward strings: the seeded generators behind the tokenizer's golden file (and longer fuzz runs)."""

import html.entities
import random
import unicodedata

import ftfy.bad_codecs  # noqa: F401  (registers the sloppy codecs)
from ftfy.badness import MOJIBAKE_CATEGORIES
from ftfy.chardata import LIGATURES

SENTENCES = [
    "A photo of a café in Zürich — “très jolie” …", "Ночной город, фотография №5", "Η γρήγορη αλεπού ΟΔΟΣ ΣΊΣΥΦΟΣ",
    "Příliš žluťoučký kůň úpěl ďábelské ódy", "Zażółć gęślą jaźń", "日本語のテキスト、写真です。", "東京タワーの夜景 [2019年]",
    "한국어 사진 설명", "صورة قطة جميلة", "תמונה של חתול", "चित्र में एक बिल्ली", "ภาพถ่ายแมว", "à la carte, fácil, às vezes, àquele",
    "It’s 25 °C – don’t touch", "£100 €200 ¥300 ¢5", "naïve façade, coöperate; Ångström", "© 2020 ACME® Foo™", "İstanbul'da ışık ĞÜŞİÖÇ",
    "Lietuvių kalba: ąčęėįšųūž", "Ærøskøbing blåbær", "ñandú ¿qué? ¡sí!", "Tiếng Việt có dấu", "½ cup + ¼ tsp = ¾", "🎉 party 👍🏽 time 👩‍👩‍👧‍👦",
    "the dog's toys aren't where they'd've been", "I’ll, we’re, you’ve, I’m, he’d", "DSC_0042.JPG", "img-2019-07-04 12.30.00 (1).jpeg",
    "T-shirt, size XL, 100% cotton!!!", "woman in red dress walking on the beach at sunset", "e = mc² ≈ 9×10¹⁶", "(°ロ°) ಠ_ಠ ʕ•ᴥ•ʔ ¯\\_(ツ)_/¯",
    "ΑΒΓΔ ςΣ Σ. ΑΣ ΑΣΑ", "Straße GROẞ ß", "ﬁnance oﬃce ﬂuﬀ ﬆop", "Ünïcödé", "‘single’ ‚low‘ ‛rev’ “double” „low“ ‟rev”", "ｆｕｌｌ　ｗｉｄｔｈ！ ｶﾞﾊﾟ ﾡﾢ",
]

FIXED = [
    "", " ", "\n", "\t\r\n", "\u3000", "\ufeff", "\u200b", "a", "!", "'", "''", "'s", "' s", "'S 'LL 'Re 'VE 'm 'D 'T", "'ſ it'ſ ſ", "K Å Ω", "\u0345", "a\u0345b",
    "<start_of_text>", "<end_of_text>", "<START_OF_TEXT> hi <End_Of_Text>", "<|startoftext|>", "x<start_of_text>y", "<ſtart_of_text>", "<start_of_text", "&lt;end_of_text&gt;",
    "&", "&&", "&amp", "&amp;", "&amp;amp;", "&amp;amp;amp;", "&amp;amp;amp;amp;lt;", "&lt;b&gt;", "<b>&amp;</b>", "&notit;", "&notin;", "&not", "&NOTIN;", "&nTILDE; &NTILDE; &EACUTE;",
    "&SZLIG; &Szlig;", "&#38;#38;", "&#x26;amp;", "&#0; &#13; &#128; &#129; &#159; &#xD800; &#x110000; &#99999999999; &#1; &#11; &#xFDD0; &#xFFFF; &#x1FFFE;", "&#59; &semi; &#x3B", "&#", "&#x", "&#xZ;", "&#١;",
    "&hellip;&mdash;&nbsp;x&nbsp", "&CounterClockwiseContourIntegral;", "&acE;", "&fjlig;", "&" + "a" * 40 + ";", "&lt;<&gt;", "line &amp; one\n< line &amp; two\nline &amp; three", "a < b &amp; c",
    "&ThickSpace;&ZeroWidthSpace;&NoBreak;", "AT&T; R&D", "&quotquot;", "&ampamp;", "&copy2020 &copy;2020", "&#8217;s &#x2019;s", "\u0085", "a\u0085b", "a\x1cb\x1db\x1ec\x1fd", "a\x0bb\x0cc",
    "\x1b[31mred\x1b[0m", "\x1b[1;32;40m bold \x1b[K", "\x1b[", "\x1b[31", "\x1b[٣m", "\x1b]0;title\x07", "\x00\x01\x02", "\x7f", "\x80\x81\x82", "caf\x8e", "\x93quoted\x94 \x96 \x85",
    "\ud800", "\udc00", "\ud83d\ude00", "\ude00\ud83d", "a\ud83d b\udca9", "\ufffd", "\ufffe\uffff", "\U0010ffff", "Ã la mode", "voilÃ le travail", "fÃ cil", "Ã\xa0 la", "Ã quele dia", "Ã quelle heure",
    "â€œ like this â€�", "â€œquotedâ€\x9d", "â€™", "donâ€™t", "Ã©", "ÃƒÂ©", "ÃƒÆ’Ã‚Â©", "Ã‚Â", "Â£100", "Â ", "a Â b", "so cool Â»", "schÃ¶n", "sÃ³", "l’humanitÃ©", "âœ” No problems",
    "HÃ”TEL", "IL Y MARQUÃ‰â€¦", "Ð¡Ð°Ð½ÐºÑ‚", "ÐŸÑ€Ð¸Ð²ÐµÑ‚", "РџСЂРёРІРµС‚", "Ã˜Â§Ã™â€ž", "Ø³Ù„Ø§Ù…", "ä¸­æ–‡", "æ—¥æœ¬èªž", "å\x8f¯æ„\x9b", "ï»¿BOM", "√© ‚Äî ‚Äô ≈°", "├⌐ ÔÇö", "вЂ” вЂњ", "β€™ β€\x9d",
    "ā€™", "ГўВЂВ™s", "Ã¢â‚¬â„¢", "ðŸ˜\x80 ðŸ‘\x8d", "ðŸ‡ºðŸ‡¸", "í\xa0½í¸\x80", "\xed\xa0\xbd\xed\xb8\x80", "À\x80", "À", "Àa\n", "í\n", "í\xa0\x80í\xb0\n", "\xed\xa0\x80x",
    "œ uvre œuvre Œ", "À° à²¬", "ÂÃÎÐ€œŠš", "×²³", "ŸØ®Ù", "¯\\_(ツ)_/¯", "&macr;\\_(ã\x83\x84)_/&macr;", "ＬＯＵＤ　ＮＯＩＳＥＳ", "Ｕﾀｰﾝ", "ﬂuﬃeﬆ ﬅ", "Ĳsland ĳ ŉ Ǆ ǅ ǆ Ǉ ǈ ǉ Ǌ ǋ ǌ Ǳ ǲ ǳ",
    "e\u0301 \u0301 e\u0301\u0301\u0301", "Z\u0351\u036b\u0343a\u0323\u0307l\u0334g\u0321o\u031b", "\u1100\u1161\u11a8", "\u0958", "\u2126 \u212a \u212b", "ΑΣ ΑΣ. Σ ΑΣΑ ΑΣ'", "İ I ı i̇", "ǅ ᾼ", "ẞ",
    "1234567890", "3.14159", "1,000,000", "①②③ Ⅳ ½ ٣ ๓ 七", "x²+y³", "🇺🇸🇬🇧", "👩🏽‍🚀", "1️⃣ #️⃣", "☺︎ ☺️", "🏴󠁧󠁢󠁷󠁬󠁳󠁿", "𝒥𝑜𝒽𝓃 𝕏 𝟙𝟚", "𠜎𠜱𠝹", "a\u00adb", "a\u200bb\u200cc\u200dd\u2060e", "\u202eabc\u202c",
    "\u2028a\u2029b", "\u206aa\u206f", "\ufff9a\ufffab\ufffb\ufffc", "a" * 3000, "ab" * 1000, "中" * 1500, "!" * 500, "word " * 400, "' " * 200, "😀" * 300, "\u0301" * 200, "=-" * 300,
    "https://example.com/a_b?c=d&amp;e=f#g", "C:\\Users\\x\\image.png", '{"k": "v\\n"}', "SELECT * FROM t WHERE a='b';", "#hashtag @user", "a\tb\r\nc\rd", "  lead and trail  ", "no-break\xa0space\u202fthin",
    "ʼn ʼ ‘ ’ ‚ ‛ “ ” „ ‟", "Mr. O'Neill's", "rock'n'roll", "ain't'", "y'all'll", "'tis 'twas", "it's'd", "''s", "s'", "Ω≈ç√∫˜µ≤≥÷", "œ∑´®†¥¨ˆøπ“‘", "¡™£¢∞§¶•ªº–≠", "⅛⅜⅝⅞", "⁰⁴⁵⁶", "₀₁₂", "№ ™ ℠ ℡",
]


def entity(r: random.Random) -> str:
    names = sorted(html.entities.html5)
    kind = r.randrange(7)
    if kind < 3:
        name = r.choice(names)
        return "&" + (name if kind else name.upper() if name.endswith(";") else name + r.choice(["", "x", ";", "="]))
    if kind == 3:
        return f"&#{r.choice([r.randrange(0x300), r.randrange(0x11FFFF), r.randrange(0x80, 0xA0)])}" + r.choice([";", ";", "", " "])
    if kind == 4:
        return f"&#{r.choice('xX')}{r.choice([r.randrange(0x300), r.randrange(0x2000, 0x2100)]):{r.choice('xX')}}" + r.choice([";", ";", ""])
    if kind == 5:
        return "&amp;" * 1 + r.choice(["lt;", "amp;", "eacute;", "#233;", "quot;", "copy", "nbsp;"])
    return r.choice(["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&apos;", "&nbsp;", "&eacute;", "&rsquo;"])


def words(r: random.Random) -> str:
    parts = r.choice(SENTENCES).split(" ")
    i = r.randrange(len(parts))
    return " ".join(parts[i : i + r.randrange(1, 6)])


CODECS = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250", "sloppy-windows-1253", "sloppy-windows-1254", "sloppy-windows-1257", "iso-8859-2", "macroman", "cp437"]


def misread(r: random.Random, text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    kind = r.randrange(8)
    if kind == 0:
        data = data.replace(b"\xa0", b" ")
    if kind == 1 and len(data) > 3:  # a byte lost
        at = r.randrange(len(data))
        data = data[:at] + r.choice([b"\x1a", b"?", b""]) + data[at + 1 :]
    if kind == 2:  # CESU-8
        data = b"".join(c.encode("utf-16-be").decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass") if ord(c) < 0x10000 else
                        b"".join(chr(int.from_bytes(c.encode("utf-16-be")[i : i + 2], "big")).encode("utf-8", "surrogatepass") for i in (0, 2)) for c in text)
    if kind == 3:
        data = data.replace(b"\x00", b"\xc0\x80") + r.choice([b"", b"\xc0\x80", b"\xed", b"\xc3"])
    return data.decode(r.choice(CODECS[:2]) if r.random() < 0.5 else r.choice(CODECS), "replace")


def mojibake(r: random.Random) -> str:
    text = words(r)
    for _ in range(r.choice([1, 1, 1, 2, 2, 3])):
        text = misread(r, text)
    kind = r.randrange(6)
    if kind == 0:
        text = words(r) + " " + text
    elif kind == 1:
        text = text + " " + words(r)
    elif kind == 2:
        text = text.upper() if r.random() < 0.5 else text.lower()
    elif kind == 3:
        text = text.replace("\x81", "\ufffd").replace("\x9d", "\ufffd")
    return text


CLUES = "".join(MOJIBAKE_CATEGORIES[k] for k in ("common", "bad", "law", "currency", "start_punctuation", "end_punctuation", "numeric", "upper_accented", "lower_accented"))
POOL = CLUES.replace("-", "") + "ÀÁÂÃÄÅÐØÙàáâãäåæèéêëìíîïðñòôœŒšžŸ°×²³√≈‚Äó вЂГўВРСβ€ΒΓΞΟā€ \x80\x81\x85\x99\x9d\xa0 ?aZ.,\x1a\n│┌░▒€™"


def clue_soup(r: random.Random) -> str:
    return "".join(r.choice(POOL) for _ in range(r.randrange(1, 14)))


ASSIGNED = [c for c in range(0x20, 0x30000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
BLOCKS = [(0x20, 0x7F), (0x80, 0x100), (0x100, 0x250), (0x250, 0x370), (0x370, 0x530), (0x530, 0x700), (0x900, 0xE00), (0x1100, 0x1200), (0x1E00, 0x2000), (0x2000, 0x2070), (0x2070, 0x2C00), (0x3000, 0x3100), (0x4E00, 0x5000), (0xAC00, 0xAD00), (0xF900, 0xFB00), (0xFB00, 0xFE00), (0xFE00, 0x10000), (0x10000, 0x11000), (0x1D400, 0x1D800), (0x1F000, 0x1FB00)]


def any_char(r: random.Random) -> str:
    if r.random() < 0.2:
        return chr(r.choice(ASSIGNED))
    low, high = r.choice(BLOCKS)
    while True:
        c = r.randrange(low, high)
        if unicodedata.category(chr(c)) not in ("Cn", "Cs"):
            return chr(c)


def any_text(r: random.Random) -> str:
    return "".join(any_char(r) + (" " if r.random() < 0.15 else "") for _ in range(r.randrange(1, 24)))


def one_block(r: random.Random) -> str:
    low, high = r.choice(BLOCKS)
    chars = [chr(c) for c in range(low, high) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    return "".join(r.choice(chars) + (" " if r.random() < 0.2 else "") for _ in range(r.randrange(1, 30)))


SPACES = [chr(c) for c in range(0x3001) if chr(c).isspace()] + ["\u200b", "\ufeff", "\u2060", "\u180e"]


def spaced(r: random.Random) -> str:
    return "".join(r.choice(["", w]) + "".join(r.choice(SPACES) for _ in range(r.randrange(3))) for w in words(r).split(" ") * 2)


def marks(r: random.Random) -> str:
    return "".join(r.choice("aeioucnszAEIOU가अกا") + "".join(chr(r.randrange(0x300, 0x370)) for _ in range(r.randrange(4))) for _ in range(r.randrange(1, 12)))


def controls(r: random.Random) -> str:
    pool = [chr(c) for c in [*range(0x20), 0x7F, *range(0x80, 0xA0), *range(0x206A, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFD), *range(0x200B, 0x2010), *range(0x202A, 0x202F)]]
    escapes = ["\x1b[0m", "\x1b[1;31m", "\x1b[2J", "\x1b[", "\x1b["]
    return "".join(r.choice([r.choice(pool), r.choice(pool), r.choice(escapes), words(r), "a", "5", ";"]) for _ in range(r.randrange(1, 10)))


def surrogates(r: random.Random) -> str:
    return "".join(r.choice([chr(r.randrange(0xD800, 0xDC00)), chr(r.randrange(0xDC00, 0xE000)), "😀", "a", " ", "é"]) for _ in range(r.randrange(1, 8)))


def contractions(r: random.Random) -> str:
    ends = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "’s", "'S", "'LL", "'", "''", "'x", "'sx", "' s", "'ſ", "&#39;s", "&rsquo;ll"]
    return " ".join(r.choice(["dog", "I", "you", "5", "", "中", "é", "!", "_"]) + r.choice(ends) + r.choice(["", "", "'d", "n"]) for _ in range(r.randrange(1, 8)))


def numbers(r: random.Random) -> str:
    return "".join(r.choice([str(r.randrange(10**6)), ".", ",", " ", "½", "²", "①", "Ⅷ", "٣", "๓", "七", "$", "%", "st", "kg", "x", "-"]) for _ in range(r.randrange(1, 16)))


def typeset(r: random.Random) -> str:
    pool = [chr(c) for c in LIGATURES] + list("‘’‚‛“”„‟ʼ…–—―•·") + [chr(c) for c in range(0xFF01, 0xFFEF) if unicodedata.category(chr(c)) != "Cn"] + ["\u3000", "a", "fi", " "]
    return "".join(r.choice(pool) for _ in range(r.randrange(1, 20)))


def emoji(r: random.Random) -> str:
    base = [chr(r.randrange(0x1F300, 0x1F6C0)) for _ in range(3)] + ["👩", "❤", "🏳", "🇫🇷", "7"]
    return "".join(r.choice(base) + r.choice(["", "\ufe0f", "\u200d", chr(0x1F3FB + r.randrange(5)), " ", "\u20e3"]) for _ in range(r.randrange(1, 12)))


def entities(r: random.Random) -> str:
    return "".join(r.choice([entity(r), entity(r), words(r), " ", "<", "&", ";", "é"]) for _ in range(r.randrange(1, 10)))


def long_text(r: random.Random) -> str:
    return r.choice([" ", "", "\n"]).join(r.choice(GENERATORS[:-1])(r) for _ in range(r.randrange(8, 30)))


def ordinary(r: random.Random) -> str:
    return " ".join(words(r) for _ in range(r.randrange(1, 4)))


GENERATORS = [mojibake, mojibake, clue_soup, any_text, one_block, spaced, marks, controls, surrogates, contractions, numbers, typeset, emoji, entities, ordinary, long_text]


def strings(seed: int, count: int) -> list[tuple[str, str]]:
    """`count` pairs of (kind, text); the first ones are the fixed list and the sentences."""
    r = random.Random(seed)
    out = [("fixed", s) for s in FIXED + SENTENCES]
    while len(out) < count:
        generator = GENERATORS[len(out) % len(GENERATORS)]
        out.append((generator.__name__, generator(r)))
    return out[:count]
