"""Networks of stanza: tokenizer, tagger with highway layers, and lemmatizer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from stanza.models.common.crf import CRFLoss
from stanza.models.common.hlstm import HighwayLSTM
from stanza.models.common.seq2seq_model import Seq2SeqModel
from stanza.models.tokenization.model import Tokenizer

from carrousel import nn
from foreign.check import Outcome

SWAP = "`nn.replace` on each model"
TOLERANCES = {
    "losses of the tokenizer": 1e-5,
    "losses of a tagger of HighwayLSTM and CRF": 1e-5,
    "losses of a tagger with recurrent dropout (LSTMCell)": 1e-5,
    "losses of the lemmatizer, a Seq2SeqModel": 1e-5,
    "lemmas by greedy and by beam search": 0.0,
}
LENGTHS = [9, 7, 4, 2]
SYMBOLS = 12


def run(ours: bool) -> Outcome:
    parts = torch.nn.ModuleList()

    def made(model: torch.nn.Module) -> torch.nn.Module:
        parts.append(nn.replace(model) if ours else model)
        return parts[-1]

    values = {
        "losses of the tokenizer": _tokenizer(made),
        "losses of a tagger of HighwayLSTM and CRF": _tagger(made, 0.0),
        "losses of a tagger with recurrent dropout (LSTMCell)": _tagger(made, 0.2),
    }
    losses, lemmas = _lemmatizer(made)
    values["losses of the lemmatizer, a Seq2SeqModel"] = losses
    return Outcome(parts, {**values, "lemmas by greedy and by beam search": lemmas})


def _train(
    model: torch.nn.Module, loss: Callable[[], torch.Tensor], steps: int = 10
) -> list[float]:
    torch.manual_seed(1)  # of dropout
    optimizer, losses = torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(steps):
        optimizer.zero_grad()
        now = loss()
        now.backward()
        optimizer.step()
        losses.append(now.item())
    return losses


def _words() -> tuple[torch.Tensor, torch.Tensor]:
    """Symbols from 4 to 11, padded with 0, and the mask of the padding."""
    generator = torch.Generator().manual_seed(4)
    words = torch.randint(4, SYMBOLS, (len(LENGTHS), max(LENGTHS)), generator=generator)
    padding = torch.arange(max(LENGTHS)) >= torch.tensor(LENGTHS)[:, None]
    return words.masked_fill(padding, 0), padding


def _tokenizer(made: Callable[[torch.nn.Module], torch.nn.Module]) -> list[float]:
    settings = {"feat_dim": 2, "rnn_layers": 1, "conv_res": "1,9", "hierarchical": True}
    settings |= {"use_mwt": True, "hier_invtemp": 2.0, "tok_noise": 0.02}
    model = made(Tokenizer(settings, SYMBOLS, 8, 16, 0.3, 0.0))
    words, padding = _words()
    features = torch.stack([words % 2, words % 3], 2).float()
    labels = torch.where(padding, -1, words % 5)

    def loss() -> torch.Tensor:
        scores = model(words, features, LENGTHS)
        return torch.nn.functional.nll_loss(scores.flatten(0, 1), labels.flatten(), ignore_index=-1)

    return _train(model, loss)


class Tagger(torch.nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(SYMBOLS, 8)
        self.rnn = HighwayLSTM(
            *(8, 16),
            num_layers=2,
            batch_first=True,
            bidirectional=True,
            dropout=0.3,
            rec_dropout=dropout,
            highway_func=torch.tanh,
            pad=True,
        )
        self.head = torch.nn.Linear(32, 4)
        self.criterion = CRFLoss(4)


def _tagger(made: Callable[[torch.nn.Module], torch.nn.Module], dropout: float) -> list[float]:
    model = made(Tagger(dropout))
    words, padding = _words()

    def loss() -> torch.Tensor:
        scores = model.head(model.rnn(model.embedding(words), LENGTHS)[0])
        return model.criterion(scores, padding, words % 4)[0]

    return _train(model, loss)


def _lemmatizer(
    made: Callable[[torch.nn.Module], torch.nn.Module],
) -> tuple[list[float], list[list[int]]]:
    """Learn to copy words; returns losses and decoded words."""
    settings = {"vocab_size": SYMBOLS, "emb_dim": 8, "hidden_dim": 16, "num_layers": 1}
    settings |= {"dropout": 0.2, "emb_dropout": 0.0, "max_dec_len": 8, "attn_type": "soft"}
    model = made(Seq2SeqModel(settings))
    words, padding = _words()
    begins = torch.full((len(LENGTHS), 1), 2)
    given = torch.cat([begins, words], 1)
    # Padding is 0, and 3 ends a word.
    ends = torch.arange(max(LENGTHS) + 1) == torch.tensor(LENGTHS)[:, None]
    wanted = torch.cat([words, torch.zeros_like(begins)], 1).masked_fill(ends, 3)

    def loss() -> torch.Tensor:
        scores, _ = model(words, padding, given)
        return torch.nn.functional.cross_entropy(
            scores.flatten(0, 1), wanted.flatten(), ignore_index=0
        )

    losses = _train(model, loss, steps=40)
    model.eval()
    with torch.no_grad():
        greedy, _ = model.predict_greedy(words, padding)
        beam, _ = model.predict(words, padding, beam_size=3)
    flat = [symbol for word in [*greedy, *beam] for symbol in word]
    return losses, flat
