"""Literature of the paper, and citations that collect what is cited."""

# ruff: noqa: RUF001 (page ranges have en dashes)
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reference:
    """A published work.

    Args:
        who: its authors as a citation names them.
        year: of publication.
        entry: its line in the list of references, without the year's place in it.
    """

    who: str
    year: int
    entry: str


REFERENCES: Mapping[str, Reference] = {
    "bengio": Reference(
        "Bengio et al.",
        1994,
        "Bengio, Y., Simard, P., & Frasconi, P. (1994). Learning long-term dependencies with "
        "gradient descent is difficult. *IEEE Transactions on Neural Networks*, 5(2), 157–166.",
    ),
    "cleeremans": Reference(
        "Cleeremans et al.",
        1989,
        "Cleeremans, A., Servan-Schreiber, D., & McClelland, J. L. (1989). Finite state automata "
        "and simple recurrent networks. *Neural Computation*, 1(3), 372–381.",
    ),
    "efron": Reference(
        "Efron",
        1987,
        "Efron, B. (1987). Better bootstrap confidence intervals. *Journal of the American "
        "Statistical Association*, 82(397), 171–185.",
    ),
    "fahlman88": Reference(
        "Fahlman",
        1988,
        "Fahlman, S. E. (1988). Faster-learning variations on back-propagation: An empirical "
        "study. *Proceedings of the 1988 Connectionist Models Summer School*, 38–51.",
    ),
    "fahlman": Reference(
        "Fahlman",
        1991,
        "Fahlman, S. E. (1991). The recurrent cascade-correlation architecture. *Advances in "
        "Neural Information Processing Systems 3*, 190–196.",
    ),
    "gers": Reference(
        "Gers et al.",
        2000,
        "Gers, F. A., Schmidhuber, J., & Cummins, F. (2000). Learning to forget: Continual "
        "prediction with LSTM. *Neural Computation*, 12(10), 2451–2471.",
    ),
    "graves": Reference(
        "Graves & Schmidhuber",
        2005,
        "Graves, A., & Schmidhuber, J. (2005). Framewise phoneme classification with "
        "bidirectional LSTM and other neural network architectures. *Neural Networks*, 18(5–6), "
        "602–610.",
    ),
    "greff": Reference(
        "Greff et al.",
        2017,
        "Greff, K., Srivastava, R. K., Koutník, J., Steunebrink, B. R., & Schmidhuber, J. (2017). "
        "LSTM: A search space odyssey. *IEEE Transactions on Neural Networks and Learning "
        "Systems*, 28(10), 2222–2232.",
    ),
    "hochreiter": Reference(
        "Hochreiter",
        1991,
        "Hochreiter, S. (1991). *Untersuchungen zu dynamischen neuronalen Netzen*. Diploma "
        "thesis, Technische Universität München.",
    ),
    "lstm": Reference(
        "Hochreiter & Schmidhuber",
        1997,
        "Hochreiter, S., & Schmidhuber, J. (1997). Long short-term memory. *Neural Computation*, "
        "9(8), 1735–1780. doi:10.1162/neco.1997.9.8.1735.",
    ),
    "jozefowicz": Reference(
        "Jozefowicz et al.",
        2015,
        "Jozefowicz, R., Zaremba, W., & Sutskever, I. (2015). An empirical exploration of "
        "recurrent network architectures. *Proceedings of the 32nd International Conference on "
        "Machine Learning*, 2342–2350.",
    ),
    "kaplan": Reference(
        "Kaplan & Meier",
        1958,
        "Kaplan, E. L., & Meier, P. (1958). Nonparametric estimation from incomplete "
        "observations. *Journal of the American Statistical Association*, 53(282), 457–481.",
    ),
    "kingma": Reference(
        "Kingma & Ba",
        2015,
        "Kingma, D. P., & Ba, J. (2015). Adam: A method for stochastic optimization. "
        "*International Conference on Learning Representations*.",
    ),
    "lancaster": Reference(
        "Lancaster",
        1961,
        "Lancaster, H. O. (1961). Significance tests in discrete distributions. *Journal of the "
        "American Statistical Association*, 56(294), 223–234.",
    ),
    "melis": Reference(
        "Melis et al.",
        2018,
        "Melis, G., Dyer, C., & Blunsom, P. (2018). On the state of the art of evaluation in "
        "neural language models. *International Conference on Learning Representations*.",
    ),
    "pineau": Reference(
        "Pineau et al.",
        2021,
        "Pineau, J., Vincent-Lamarre, P., Sinha, K., Larivière, V., Beygelzimer, A., "
        "d'Alché-Buc, F., Fox, E., & Larochelle, H. (2021). Improving reproducibility in machine "
        "learning research. *Journal of Machine Learning Research*, 22(164), 1–20.",
    ),
    "robinson": Reference(
        "Robinson & Fallside",
        1987,
        "Robinson, A. J., & Fallside, F. (1987). *The utility driven dynamic error propagation "
        "network*. Technical report CUED/F-INFENG/TR.1, Cambridge University Engineering "
        "Department.",
    ),
    "chunker": Reference(
        "Schmidhuber",
        1992,
        "Schmidhuber, J. (1992). Learning complex, extended sequences using the principle of "
        "history compression. *Neural Computation*, 4(2), 234–242.",
    ),
    "guessing": Reference(
        "Schmidhuber et al.",
        2001,
        "Schmidhuber, J., Hochreiter, S., & Bengio, Y. (2001). Evaluating benchmark problems by "
        "random guessing. In J. F. Kolen & S. C. Kremer (Eds.), *A Field Guide to Dynamical "
        "Recurrent Networks* (pp. 231–235). IEEE Press.",
    ),
    "smith": Reference(
        "Smith & Zipser",
        1989,
        "Smith, A. W., & Zipser, D. (1989). Learning sequential structure with the real-time "
        "recurrent learning algorithm. *International Journal of Neural Systems*, 1(2), 125–131.",
    ),
    "tallec": Reference(
        "Tallec & Ollivier",
        2018,
        "Tallec, C., & Ollivier, Y. (2018). Can recurrent neural networks warp time? "
        "*International Conference on Learning Representations*.",
    ),
    "williams": Reference(
        "Williams & Zipser",
        1989,
        "Williams, R. J., & Zipser, D. (1989). A learning algorithm for continually running fully "
        "recurrent neural networks. *Neural Computation*, 1(2), 270–280.",
    ),
}
"""Works by key."""


@dataclass
class Citations:
    """Writes citations, and lists what was cited."""

    cited: set[str] = field(default_factory=set)

    def text(self, key: str) -> str:
        """Cite in the text: ``Gers et al. (2000)``.

        Raises:
            KeyError: there is no such reference.
        """
        found = self._find(key)
        return f"{found.who} ({found.year})"

    def brackets(self, *keys: str) -> str:
        """Cite in brackets: ``(Efron, 1987; Lancaster, 1961)``.

        Raises:
            KeyError: there is no such reference.
        """
        return f"({'; '.join(map(self.inside, keys))})"

    def inside(self, key: str) -> str:
        """Cite within brackets that hold other words too: ``Efron, 1987``.

        Raises:
            KeyError: there is no such reference.
        """
        found = self._find(key)
        return f"{found.who}, {found.year}"

    def _find(self, key: str) -> Reference:
        self.cited.add(key)
        return REFERENCES[key]

    def listed(self) -> str:
        """The cited works as a list, by author."""
        return "\n".join(f"- {one.entry}" for key, one in REFERENCES.items() if key in self.cited)
