"""How far labellers agree, beyond what chance would give."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from shared.database.labels import Opinion
from voxmood.documents import AgreementDocument


def majority(words: Iterable[str]) -> str | None:
    """The word that is said most often; None where as many say another one, or nobody says anything.

    >>> majority(["sad", "calm", "sad"]), majority(["sad", "calm"]), majority([])
    ('sad', None, None)
    """
    (word, count), (_, others) = [*Counter(words).most_common(2), ("", 0), ("", 0)][:2]
    return word if count > others else None


def agreement_of(opinions: Iterable[Opinion]) -> AgreementDocument:
    """The agreement of all labellers on the clips that two or more of them have labelled."""
    said: dict[int, dict[str, str]] = defaultdict(dict)
    for one in opinions:
        said[one.clip_id][one.labeller] = one.emotion
    common = [by_labeller for by_labeller in said.values() if len(by_labeller) > 1]
    labellers = {labeller for by_labeller in common for labeller in by_labeller}
    disputed = sum(len(set(by_labeller.values())) > 1 for by_labeller in common)
    two = sorted(labellers)
    if len(two) == 2:
        kappa = cohens_kappa([(by_labeller[two[0]], by_labeller[two[1]]) for by_labeller in common])
    else:
        kappa = fleiss_kappa([Counter(by_labeller.values()) for by_labeller in common])
    return AgreementDocument(labellers=len(labellers), clips=len(common), disputed=disputed, kappa=kappa)


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """The kappa of two labellers.

    Args:
        pairs: what each of the two says of a clip.

    Returns:
        1 where they agree on all clips, 0 where no more than chance would have it; None where it is not
        defined: there are no clips, or both say one and the same word of all.

    Source: Cohen 1960, Educational and Psychological Measurement 20, 37-46.

    >>> cohens_kappa([("sad", "sad"), ("sad", "calm"), ("calm", "calm"), ("calm", "calm")])
    0.5
    """
    n = len(pairs)
    if not n:
        return None
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    observed = sum(one == other for one, other in pairs) / n
    expected = sum(first[word] * second[word] for word in first) / n**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def fleiss_kappa(clips: Sequence[Mapping[str, int]]) -> float | None:
    """The kappa of any number of labellers, of whom not all have labelled each clip.

    Args:
        clips: how many labellers say each word of a clip, two of them or more.

    Returns:
        As `cohens_kappa`.

    Source: Fleiss 1971, Psychological Bulletin 76, 378-382; each clip with its own number of labellers.

    >>> round(fleiss_kappa([{"sad": 3}, {"sad": 1, "calm": 2}, {"calm": 3}]), 3)
    0.55
    """
    if not clips:
        return None
    words: Counter[str] = Counter()
    agreed = 0.0
    for counts in clips:
        n = sum(counts.values())
        words.update(counts)
        agreed += sum(count * (count - 1) for count in counts.values()) / (n * (n - 1))
    observed, total = agreed / len(clips), words.total()
    expected = sum((count / total) ** 2 for count in words.values())
    return None if expected == 1 else (observed - expected) / (1 - expected)
