"""A network that memorises a photograph draws the outline first and the detail later.

On a picture whose spectrum is flat, the order in which a network learns frequencies is its own and
not the picture's. On photographs five networks of equal size are watched while they draw, and
judged on pixels they never saw. The scale of Gaussian Fourier features has an optimum between blur
and aliasing. On a circle, a kernel says how fast features and network learn each frequency.
"""

from typing import Literal

import numpy as np

from chymist import data, models, stats
from chymist.atlas.frequency import drawing, sound, sound_figures
from chymist.atlas.frequency import image_figures as draw
from chymist.atlas.frequency.feature_kernel import CIRCLE, PICTURE
from chymist.atlas.frequency.feature_scale import SCALE
from chymist.bibliography import references
from chymist.claims import Claim, Published, above
from chymist.instruments import area_under
from chymist.params import Field, Lane, Params
from chymist.study import Control, Experiment, Figure, Input, Study


class ImageParams(Params):
    """Every second pixel a side is trained on, every second one held out."""

    seeds: int = Field(5, ge=5, le=10_000, description="independent repetitions")
    size: int = Field(64, ge=64, le=2048, multiple_of=4, description="pixels a side")
    width: int = Field(64, ge=4, le=4096, description="neurons a layer, three hidden layers")
    frequencies: int = Field(32, ge=4, le=4096, multiple_of=2, description="of the encodings")
    pictures: Literal["photographs", "zone-plate", "noise"] = Field("photographs", description=(
        "what is drawn: scikit-learn's photographs, rings that grow finer outwards, or 1/f noise"))
    network: Lane[models.Encoding] = Field(models.ENCODINGS, description=(
        "networks that draw photographs; the order of octaves is judged on the first"))
    scale: float = Field(0.04, gt=0, le=4, description=(
        "standard deviation of the Gaussian frequencies, cycles per training pixel"))
    sigma: Lane[float] = Field((0.5, 1, 2, 4, 8, 16), gt=0, le=1e4, description=(
        "the same in cycles per picture, where the scale itself is studied"))
    judged_on: Literal["held-out", "training"] = Field("held-out", description="pixels, for sigma")
    lr: float = Field(1e-3, gt=0, le=1, description="step size of Adam; SIREN takes 0.3 of it")
    steps: int = Field(300, ge=32, le=10**6, description="updates on photographs")
    scale_steps: int = Field(200, ge=32, le=10**6, description="updates for each sigma")
    flat_steps: int = Field(400, ge=32, le=10**6, description="updates on flat spectra")
    flat_encoding: models.Encoding = Field("none", description="network on flat spectra")
    sound_network: Lane[models.Encoding] = Field(("none", "gaussian", "siren"), description=(
        "networks that draw sounds; the order of octaves is judged on the first"))
    sound_steps: int = Field(400, ge=64, le=10**6, description="updates on sounds")
    decay: Lane[float] = Field((0, 0.5, 1), ge=0, le=4, description=(
        "exponent p of the features' amplitudes j^-p on the circle"))
    kernel_width: int = Field(256, ge=1, le=65536, description=(
        "neurons a layer where networks are compared with their kernel"))
    kernel_scale: Lane[float] = Field((2, 6), gt=0, le=1e4, description=(
        "scale of Gaussian features there, cycles per picture"))
    kernel_steps: int = Field(150, ge=32, le=10**6, description="updates there; twice on a circle")


def area(run):
    return area_under(run.band_error.isel(network=0, drop=True))


def order(run):
    """Kendall's tau between frequency and area under the band's error, mean over pictures."""
    return stats.kendall_tau(area(run), "band").mean("image")


def spread(run):
    """D = log(area of the highest band / area of the lowest), mean over pictures."""
    return np.log(area(run).isel(band=[0, -1])).diff("band").isel(band=0, drop=True).mean("image")


FLAT = Experiment(
    "flat", "A coordinate network draws pictures with the same amplitude at all frequencies from 1 "
    "to 12 cycles and random phases; bands 1-3, 3-6, 6-9, 9-12.", drawing.flat_spectra,
    claims=(
        Claim("flat-order", "On a flat spectrum the network learns bands in order of frequency.",
              order, above(0.8)),
        Claim("flat-spread", "The highest band's error has 1.3 times the lowest band's area.",
              spread, above(np.log(1.3))),
    ),
    figures=(Figure("flat-bands", "Error of each band; the control's fall as one.", draw.flat),),
    control=Control("Gaussian features of scale n/2 on n training pixels know no order.",
                    {"flat_encoding": "gaussian", "scale": 0.5}, ("flat-order", "flat-spread")),
)  # fmt: skip


def gain(run):
    """Held-out PSNR of Gaussian features less that of plain coordinates, in dB, at the end."""
    end = run.test_psnr.isel(step=-1, drop=True).mean("image")
    end = end.reindex(network=["none", "gaussian"])
    return end.diff("network").isel(network=0, drop=True)


PHOTO = Experiment(
    "photo", "Five networks with as many parameters draw a photograph from every second pixel of "
    "every second row, and are judged on pixels between them.", drawing.photographs,
    claims=(
        Claim("photo-order", "Plain coordinates learn a photograph's octaves in order.",
              order, above(0.9)),
        Claim("photo-spread", "The highest octave's error has three times the lowest one's area.",
              spread, above(np.log(3))),
        Claim("remedy", "Gaussian features of the published scale beat plain coordinates on "
              "held-out pixels, at equal parameters and updates.", gain, above(0), published=(
                  Published(6.25, "natural images of 512 x 512 pixels, width 256, 256 frequencies, "
                            "2000 updates, scale tuned (25.57 - 19.32)", "tancik2020fourier"),)),
    ),
    figures=(
        Figure("strip", "What the networks draw: the outline first, the detail later.", draw.strip),
        Figure("course", "What the networks draw at a step, and how much of each octave is still "
               "missing.", draw.course),
        Figure("held-out", "Quality on pixels never seen; in the control the scale is one cycle a "
               "pixel, and Gaussian features alias.", draw.held_out),
        Figure("octaves", "Octaves over training, relative to the photograph's own spectrum and "
               "absolutely: the two normalisations mislead in opposite ways.", draw.octaves),
    ),
    control=Control("At one cycle a pixel the features say nothing between pixels.",
                    {"scale": 1.0, "network": ("none", "gaussian")}, ("remedy",)),
    reads="picture",
)  # fmt: skip


SOUND = Experiment(
    "sound", "Networks draw a 32nd of a second of sound as a function of time, from every second "
    "sample: your own, or cosines of equal amplitude at 2 to 15 cycles.", sound.train,
    claims=(
        Claim("sound-order", "Plain coordinates learn a sound's octaves in order.",
              order, above(0.8)),
        Claim("sound-spread", "The highest octave's error has 1.3 times the lowest one's area.",
              spread, above(np.log(1.3))),
        Claim("sound-remedy", "Gaussian features beat plain coordinates on held-out samples.",
              gain, above(0)),
    ),
    figures=(
        Figure("sound", "What networks draw of the sound (grey) on samples never seen.",
               sound_figures.drawn),
        Figure("sound-octaves", "Errors by octave, and quality on samples never seen.",
               sound_figures.octaves),
    ),
    control=Control("At one cycle a sample the features say nothing between samples.",
                    {"scale": 1.0, "sound_network": ("none", "gaussian")}, ("sound-remedy",)),
    reads="sound",
)  # fmt: skip


STUDY = Study(
    slug="image-memorisation", family="frequency", params=ImageParams,
    title="Memorising a photograph: outline first, detail later",
    question="Why does a network draw a photograph from coarse to fine, and what cures it?",
    experiments=(FLAT, PHOTO, SCALE, SOUND, CIRCLE, PICTURE),
    theory=r"""
Fourier features $\gamma(v) = (a_j \cos 2\pi b_j \cdot v,\ a_j \sin 2\pi b_j \cdot v)$ turn a
shift into a cosine $c = \gamma(v) \cdot \gamma(v') / |\gamma|^2$, and a ReLU network of $L$ hidden
layers turns cosines into its tangent kernel $T_L$: with $T_0 = S_0 = c$ and the arc-cosine kernels
$\kappa_0, \kappa_1$, $S_l = \kappa_1(S_{l-1})$ and $T_l = S_l + T_{l-1}\,\kappa_0(S_{l-1})$. It
depends on $v - v'$ alone: its eigenvectors on a circle are the frequencies $k$, and gradient
descent leaves $e_k(t) = |1 - \eta\lambda_k|^t\, e_k(0)$. On the grid of a picture with $n$ pixels
the residual is $(I - \eta K/n)^t r_0$, and its bands are what is compared; $K$ is that of the $m$
frequencies drawn, as the networks have them. Their limit for $b_j \sim N(0, \sigma^2)$,
$c = \exp(-2\pi^2\sigma^2 |v - v'|^2)$, is what a designer sees: the larger $\sigma$, the flatter
$\lambda_k$ and the weaker the order; with few frequencies it predicts less well. Once $c$ is
narrower than a pixel, kernel regression says between pixels what the mean says, however well it
fits on them.
""",
    limits="The curves are exact for gradient descent and infinite width; under Adam only the end, "
           "kernel regression, is compared. Gradient descent of $T$ steps would want the scale at "
           "which the eigenvalue at the pixels' highest frequency is $1/(\\eta T)$; Adam divides "
           "each weight's step by the size of its gradients, so that no $\\eta T$ says how far an "
           "eigenvalue has come. The figure marks where kernel regression is best, on a plateau "
           "whose end, not its best point, moves with the resolution: that the best scale doubles "
           "is a fact of training that ends. At finite width the curves hold for eigenvalues above "
           "about the largest over the root of the width: at p = 2 the slowest frequency is late. "
           "The best scale falls as training goes on; held-out quality peaks and declines. Errors "
           "by octave of a photograph are confounded with its spectrum: the flat one decides. "
           "Flat spectra and the study of the scale are grey, and the photographs are two. On a "
           "zone plate, whose frequencies lie in different places, the order of octaves and the "
           "optimum of the scale at the coarser resolution are not found. The preset paper is 5 "
           "days of two cores: it is meant for a larger machine.",
    references=references("xu2020frequency", "tancik2020fourier", "sitzmann2020implicit",
                          "mildenhall2020nerf", "jacot2018neural", "rahaman2019spectral"),
    presets={"quick": {}, "paper": {"size": 512, "width": 256, "frequencies": 256, "steps": 2000,
                                    "scale_steps": 2000, "flat_steps": 2000, "kernel_width": 2048,
                                    "sigma": (2, 4, 8, 16, 32, 64, 128)}},
    answers=("order", "inputs", "memorisation", "features", "remedy"), cover="strip",
    cost={"quick": 80, "paper": 460_000},
    input=Input("a picture: its central square; or a sound: the loudest 32nd of a second of a WAV "
                "file", (".png", ".jpg", ".jpeg", ".webp", ".tiff", ".bmp", ".gif", ".wav"),
                data.picture_or_sound),
)  # fmt: skip
