"""Deflate64 (method 9 of zip), which Windows Explorer writes for members over 2 GB.

Written here because no library reads it well: zlib leaves it out; stream_inflate 0.0.43 loses the order of
literals before a stored block, as recordings have them, and where no code fits it searches through all of the
input (12 s for 64 kB).

It differs from RFC 1951 in three points: its window has 64 KiB, it has two more distance codes, and code 285
is a length of 3 with 16 extra bits.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

WINDOW_BYTES = 2**16
# Bits that one match takes at most: two codes of 15, 16 more for its length and 14 for its distance.
_MOST_BITS = 15 + 16 + 15 + 14
_LENGTH_EXTRA = (*[0] * 8, *[1] * 4, *[2] * 4, *[3] * 4, *[4] * 4, *[5] * 4, 16)
_DISTANCE_EXTRA = (0, 0, *[bits for bits in range(15) for _ in range(2)])
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_END_OF_BLOCK = 256


def _bases(first: int, extra: Sequence[int]) -> list[int]:
    bases = [first]
    for bits in extra[:-1]:
        bases.append(bases[-1] + (1 << bits))
    return bases


_LENGTH_BASE = [*_bases(3, _LENGTH_EXTRA[:-1]), 3]
_DISTANCE_BASE = _bases(1, _DISTANCE_EXTRA)
Table = tuple[list[int], int]  # symbol << 4 | bits of its code, by the next bits; and the mask for those


def _table(lengths: Sequence[int]) -> Table:
    """The look-up table of a set of codes (RFC 1951, 3.2.2).

    Args:
        lengths: the number of bits of each symbol's code, 0 for symbols without one.

    Returns:
        A table by the next bits of input, with 0 where they are no code; and the mask for these bits.

    Raises:
        ValueError: the lengths fit no set of codes.
    """
    most = max(lengths)
    if sum(1 << (most - length) for length in lengths if length) > 1 << most:
        raise ValueError("its Deflate64 codes are damaged")
    table = [0] * (1 << most)
    code = 0
    for bits in range(1, most + 1):
        for symbol, length in enumerate(lengths):
            if length == bits:
                first = int(f"{code:0{bits}b}"[::-1], 2)  # codes come with their highest bit first
                table[first :: 1 << bits] = [symbol << 4 | bits] * (1 << (most - bits))
                code += 1
        code <<= 1
    return table, (1 << most) - 1


class Deflate64:
    """The decompressor of a raw Deflate64 stream, with the interface of those of bz2 and lzma.

    Its `decompress` gives up to 192 KiB at once, whatever `max_length` is, and raises ValueError as soon as
    it meets damage.
    """

    def __init__(self) -> None:
        self.eof = False
        self.needs_input = True
        self.unused_data = b""
        self._fed = self._data = b""
        self._place = self._bits = self._count = 0  # of the data, and bits taken from it that wait
        self._out = bytearray()
        self._given = 0  # bytes at the front of _out that were given: the window
        self._blocks = self._decode()

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Unpack some data; see `shared.archives.compression.Decompressor.decompress`."""
        self._fed += data
        block = next(self._blocks, None)
        self.needs_input = block is None and not self.eof
        if self.eof:
            self.unused_data += self._fed
            self._fed = b""
        return block or b""

    def _decode(self) -> Iterator[bytes | None]:
        """Yield blocks of output, or None where more input is needed."""
        is_last = 0
        while not is_last:
            head = yield from self._take(3)
            is_last, kind = head & 1, head >> 1
            if kind == 0:
                yield from self._stored()
            elif kind == 1:
                fixed = [8] * 144 + [9] * 112 + [7] * 24 + [8] * 8
                yield from self._codes(_table(fixed), _table([5] * 32))
            elif kind == 2:
                literals, distances = yield from self._lengths()
                yield from self._codes(_table(literals), _table(distances))
            else:
                raise ValueError("its Deflate64 data is damaged")
        self._give_back()
        self.unused_data = self._data[self._place :]
        if len(self._out) > self._given:
            yield self._output_block()
        self.eof = True

    def _output_block(self) -> bytes:
        block = bytes(self._out[self._given :])
        del self._out[: max(0, len(self._out) - WINDOW_BYTES)]
        self._given = len(self._out)
        return block

    def _refill(self) -> bool:
        """Move up to eight bytes of input into the bit buffer; false if there are none."""
        more = self._data[self._place : self._place + 8]
        if not more and self._fed:
            self._data, self._place, self._fed = self._fed, 0, b""
            more = self._data[:8]
        self._bits |= int.from_bytes(more, "little") << self._count
        self._count += 8 * len(more)
        self._place += len(more)
        return bool(more)

    def _take(self, wanted: int) -> Generator[None, None, int]:
        while self._count < wanted:
            if not self._refill():
                yield None
        number = self._bits & ((1 << wanted) - 1)
        self._bits >>= wanted
        self._count -= wanted
        return number

    def _stored(self) -> Iterator[bytes | None]:
        self._give_back()
        length = yield from self._take(16)
        if (yield from self._take(16)) != length ^ 0xFFFF:
            raise ValueError("its Deflate64 data is damaged")
        self._give_back()
        while length:
            if self._place == len(self._data):
                if not self._fed:
                    yield None
                self._data, self._place, self._fed = self._fed, 0, b""
            piece = self._data[self._place : self._place + length]
            self._place += len(piece)
            length -= len(piece)
            self._out += piece
        if len(self._out) - self._given >= WINDOW_BYTES:
            yield self._output_block()

    def _lengths(self) -> Generator[None, None, tuple[list[int], list[int]]]:
        """Read the code lengths of a block, which are coded themselves."""
        literals = 257 + (yield from self._take(5))
        count = literals + 1 + (yield from self._take(5))
        of_lengths = [0] * 19
        for place in _ORDER[: 4 + (yield from self._take(4))]:
            of_lengths[place] = yield from self._take(3)
        table, mask = _table(of_lengths)
        lengths: list[int] = []
        while len(lengths) < count:
            while self._count < 14 and self._refill():
                pass
            code = table[self._bits & mask]
            if self._count < 7 and not 0 < code & 15 <= self._count:
                yield None  # and then the same again, with more bits
                continue
            if not code & 15:
                raise ValueError("its Deflate64 data is damaged")
            symbol, _ = code >> 4, (yield from self._take(code & 15))
            if symbol < 16:
                lengths.append(symbol)
            elif symbol == 16:
                if not lengths:
                    raise ValueError("its Deflate64 data is damaged")
                lengths += lengths[-1:] * (3 + (yield from self._take(2)))
            else:
                lengths += [0] * (3 + (yield from self._take(3)) if symbol == 17
                                  else 11 + (yield from self._take(7)))  # fmt: skip
        if len(lengths) > count:
            raise ValueError("its Deflate64 data is damaged")
        return lengths[:literals], lengths[literals:]

    def _codes(self, literals: Table, distances: Table) -> Iterator[bytes | None]:
        table, mask = literals
        far_table, far_mask = distances
        out = self._out
        while True:
            is_all = True  # the bits that are there may be too few for what comes
            while self._count < _MOST_BITS and is_all:
                is_all = self._refill()
            bits, count = self._bits, self._count
            symbol = table[bits & mask]
            used = symbol & 15
            symbol >>= 4
            if symbol < _END_OF_BLOCK and 0 < used <= count:
                out.append(symbol)
                self._bits, self._count = bits >> used, count - used
            elif symbol == _END_OF_BLOCK and 0 < used <= count:
                self._bits, self._count = bits >> used, count - used
                return
            else:
                length = distance = 0
                if used and used <= count:
                    if symbol > 285:
                        raise ValueError("its Deflate64 data is damaged")
                    extra = _LENGTH_EXTRA[symbol - 257]
                    length = _LENGTH_BASE[symbol - 257] + (bits >> used & ((1 << extra) - 1))
                    used += extra
                    far = far_table[bits >> used & far_mask]
                    used += far & 15
                    extra = _DISTANCE_EXTRA[far >> 4]
                    distance = _DISTANCE_BASE[far >> 4] + (bits >> used & ((1 << extra) - 1))
                    used += extra
                    if far & 15 == 0:
                        used = 0
                if used > count or (not used and count < _MOST_BITS):
                    yield None  # and then the same again, with more bits
                    continue
                if not used or distance > len(out):
                    raise ValueError("its Deflate64 data is damaged")
                start = len(out) - distance
                if distance >= length:
                    out += out[start : start + length]
                else:
                    piece = bytes(out[start:])
                    out += (piece * (length // distance + 1))[:length]
                self._bits, self._count = bits >> used, count - used
            if len(out) - self._given >= WINDOW_BYTES:
                yield self._output_block()

    def _give_back(self) -> None:
        """Make whole bytes of the bit buffer input again; the rest of a byte is dropped."""
        waiting = self._count // 8
        self._bits >>= self._count % 8
        self._data = self._bits.to_bytes(waiting, "little") + self._data[self._place :]
        self._place = self._bits = self._count = 0
