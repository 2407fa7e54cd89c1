import pytest
import torch

from chymist import instruments, models
from chymist.theory import residual_streams


def network(**start):
    made = models.Transformer(9, 16, width=64, blocks=2, outputs=5)
    with torch.no_grad():
        models.transformer_start(made, torch.Generator().manual_seed(0), **start)
    return made


def test_scale_moved_into_factors_changes_no_output():
    x = torch.eye(16)[torch.randint(16, (7, 9), generator=torch.Generator().manual_seed(1))]
    x = x.flatten(1)
    plain = network()(x)
    for moved in ({"tangent": 1.0}, {"multiplier": 0.25}, {"division": 0.0, "query": 0.5}):
        torch.testing.assert_close(network(**moved)(x), plain, rtol=1e-4, atol=1e-5)
    assert (network(division=0.0)(x) - plain).abs().max() > 0.01
    assert not network(read=0.0)(x).any()


@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("causal", [True, False])
def test_what_is_read_out_is_the_last_token_of_all(place, causal):
    x = torch.randn(3, 5 * 6, generator=torch.Generator().manual_seed(0))
    made = models.Transformer(
        5, 6, width=8, blocks=2, outputs=4, heads=2, place=place, alpha=1.5, causal=causal
    )
    stream = made.embed(x.unflatten(1, (5, 6))) + made.position
    for residual in made.residuals:
        stream = residual(stream)
    torch.testing.assert_close(made(x), made.read(made.last(stream)[:, -1]))


def test_the_future_is_hidden_where_it_should_be():
    x = torch.randn(2, 5 * 8, generator=torch.Generator().manual_seed(0))
    other = x.clone()
    other[:, 4 * 8 :] += 1
    for causal in (True, False):
        made = models.Transformer(5, 8, width=8, blocks=1, causal=causal)
        same = (made(x) - made(other))[:, : 4 * 8].abs().max() == 0
        assert bool(same) is causal


@pytest.mark.parametrize("place", ["pre", "post"])
def test_streams_follow_the_recursion(place):
    found = []
    for seed in range(6):
        draw = torch.Generator().manual_seed(seed)
        made = models.Transformer(16, 128, width=128, blocks=2, place=place, causal=False)
        with torch.no_grad():
            models.transformer_start(made, draw)
        x = torch.randn(4, 16 * 128, generator=draw)
        layers = ["residuals.*.norm", "last"] if place == "pre" else "residuals.*.norm"
        found.append(instruments.second_moments(made, x, layers=layers).entering)
    mean = torch.stack(found).mean(0)[1 if place == "pre" else 0 :]
    expected, _ = residual_streams.token_streams(2, 16, post=place == "post")
    torch.testing.assert_close(mean, torch.as_tensor(expected), rtol=0.06, atol=0)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="heads must divide the width 8, got 3"):
        models.Transformer(5, 8, width=8, blocks=1, heads=3)
    with pytest.raises(ValueError, match="features must be the width 8, got 4"):
        models.Transformer(5, 4, width=8, blocks=1)
