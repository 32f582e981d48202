"""Text to ids: Hugging Face tokenizers against bench_tokenizer, both from memory, lines of the corpus.

Two figures. Warm: the same text again and again from memory, where both find most words in their caches.
Cold: load the tokenizer, read the file, encode it once, in seconds; Facet's is a whole command. Facet
uses one thread in both.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re
import statistics
import subprocess
import time

from tokenizers import Tokenizer

from collect import corpus_lines


def run(bench):
    path = bench.example / "tokenizer.json"
    lines = corpus_lines(bench, 200 if bench.is_quick else 10**6)
    n_bytes = sum(len(line.encode("utf-8")) for line in lines)
    text = bench.work / "tokenizer.txt"
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    peer = Tokenizer.from_file(str(path))
    n_tokens = {}

    def facet():
        out = subprocess.run([bench.build / "bench_tokenizer", path, text], check=True, capture_output=True, text=True)
        rate, n_tokens["facet"] = re.search(r"([\d.]+) median: \d+ bytes, (\d+) tokens", out.stdout).groups()
        return float(rate)

    def tokenizers(is_parallel):
        os.environ["TOKENIZERS_PARALLELISM"] = "true" if is_parallel else "false"
        seconds = []
        for _ in range(7):
            begin = time.perf_counter()
            encoded = peer.encode_batch_fast(lines)
            seconds.append(time.perf_counter() - begin)
        n_tokens["peer"] = str(sum(len(one.ids) for one in encoded))
        return 1e-6 * n_bytes / statistics.median(seconds)

    def facet_cold():
        begin = time.perf_counter()
        subprocess.run([bench.facet, "tokenize", "--model", path, "--count", text], check=True, capture_output=True)
        return time.perf_counter() - begin

    def tokenizers_cold():
        begin = time.perf_counter()
        read = text.read_text(encoding="utf-8").split("\n")[:-1]
        Tokenizer.from_file(str(path)).encode_batch_fast(read)
        return time.perf_counter() - begin

    os.environ["RAYON_NUM_THREADS"] = str(bench.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    bench.compare("tokenizer, cold", "s", {"facet, 1 thread": facet_cold,
                                           f"tokenizers, {bench.threads} threads": tokenizers_cold})
    bench.compare("tokenizer, warm", "MB/s", {"facet, 1 thread": facet,
                                        "tokenizers, 1 thread": lambda: tokenizers(False),
                                        f"tokenizers, {bench.threads} threads": lambda: tokenizers(True)}, is_rate=True)
    assert n_tokens["facet"] == n_tokens["peer"], n_tokens
