from __future__ import annotations

from bench.tasks.naming import names_of


def test_what_names_an_attack_on_a_block_stays_as_it_was_and_tells_attacks_seeds_and_blocks_apart() -> None:
    name, seed = names_of("pgd", 0, [b"a", b"b"])
    assert (name.hex(), seed) == ("7067640e52b5f187de1088", 3657183369)
    assert len({names_of("pgd", 0, [b"a"]), names_of("pgd", 0, [b"b"]), names_of("mim", 0, [b"a"])}) == 3
    assert names_of("pgd", 1, [b"a"])[1] != names_of("pgd", 0, [b"a"])[1]
