"""Models in other styles than vision: transformers, taggers over packed sequences, generators, graph networks, audio, beam
search, and archives that were frozen or optimised for inference or mobile."""
import math
from typing import Dict, List, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from cases import both, case


def tokens(*shapes, vocabulary=50):
    return lambda: [(torch.randint(0, vocabulary, shape),) for shape in shapes]


# ---- transformers ----------------------------------------------------------------------------------------------------

class Positions(nn.Module):
    def __init__(self, width: int, longest: int = 64):
        super().__init__()
        at = torch.arange(longest).unsqueeze(1)
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        table = torch.zeros(longest, width)
        table[:, 0::2] = torch.sin(at * rate)
        table[:, 1::2] = torch.cos(at * rate)
        self.register_buffer("table", table)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(x + self.table[: x.size(1)])


class Bert(nn.Module):
    """Encoder with padding mask, token type embeddings, pooler and masked-word head."""

    def __init__(self, norm_first=False, activation="gelu"):
        super().__init__()
        self.words = nn.Embedding(50, 32, padding_idx=0)
        self.kinds = nn.Embedding(2, 32)
        self.positions = nn.Embedding(64, 32)
        self.norm = nn.LayerNorm(32, eps=1e-12)
        layer = nn.TransformerEncoderLayer(32, 4, 64, activation=activation, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 3, nn.LayerNorm(32))
        self.pooler = nn.Linear(32, 32)
        self.head = nn.Linear(32, 50, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor, kinds: Optional[Tensor] = None) -> Dict[str, Tensor]:
        if kinds is None:
            kinds = torch.zeros_like(ids)
        x = self.words(ids) + self.kinds(kinds) + self.positions(torch.arange(ids.size(1), device=ids.device))
        x = self.encoder(self.norm(x), src_key_padding_mask=ids == 0)
        return {"logits": self.head(x), "pooled": torch.tanh(self.pooler(x[:, 0]))}


def sentences():
    made = []
    for lengths in ([7, 4, 2], [5, 5]):
        ids = torch.randint(1, 50, (len(lengths), max(lengths)))
        for row, length in enumerate(lengths):
            ids[row, length:] = 0
        made.append((ids, None if len(made) else torch.randint(0, 2, ids.shape)))
    return made


case("bert", Bert, sentences, "script")
case("bert_relu_norm_first", lambda: Bert(True, "relu"), sentences, "script")
case("bert_training", Bert, sentences, "script", training=True, gradients=True)
case("bert", Bert, lambda: [(ids, torch.zeros_like(ids)) for ids, _ in sentences()][:1], "trace")


class Gpt(nn.Module):
    """Decoder-only, written out."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 32)
        self.positions = Positions(32)
        self.blocks = nn.ModuleList([GptBlock(32, 4) for _ in range(2)])
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 50, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.hidden(ids))

    def hidden(self, ids: Tensor) -> Tensor:
        x = self.positions(self.words(ids))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Sampler(Gpt):
    """Generation with top-k sampling."""

    @torch.jit.export
    def generate(self, ids: Tensor, count: int, top: int = 5, temperature: float = 0.8) -> Tensor:
        for _ in range(count):
            logits = self.forward(ids[:, -32:])[:, -1] / temperature
            values, _ = torch.topk(logits, top)
            logits[logits < values[:, [-1]]] = -float("inf")
            ids = torch.cat((ids, torch.multinomial(F.softmax(logits, dim=-1), 1)), dim=1)
        return ids


class GptBlock(nn.Module):
    mask: Tensor

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1))
        self.register_buffer("mask", torch.tril(torch.ones(64, 64)).view(1, 1, 64, 64))

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.size()
        q, k, v = self.mix(self.first(x)).split(c, dim=2)
        q = q.view(b, t, self.heads, c // self.heads).transpose(1, 2)
        k = k.view(b, t, self.heads, c // self.heads).transpose(1, 2)
        v = v.view(b, t, self.heads, c // self.heads).transpose(1, 2)
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        x = x + self.out(y.transpose(1, 2).contiguous().view(b, t, c))
        return x + self.feed(self.second(x))


both("gpt", Gpt, tokens((2, 9), (2, 9)))
case("gpt_generate", Sampler, lambda: [(torch.randint(0, 50, (2, 3)), 12, 5, 0.8)], "script", method="generate",
     settle=lambda module, inputs: lambda: None)


class Translator(nn.Module):
    """nn.Transformer with its masks."""

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(50, 32), nn.Embedding(40, 32)
        self.positions = Positions(32)
        self.transformer = nn.Transformer(32, 4, 2, 2, 64, batch_first=True)
        self.head = nn.Linear(32, 40)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = torch.triu(torch.full((target.size(1), target.size(1)), -float("inf")), diagonal=1)
        x = self.transformer(
            self.positions(self.source(source)), self.positions(self.target(target)), tgt_mask=mask,
            src_key_padding_mask=source == 0, memory_key_padding_mask=source == 0)
        return self.head(x)


class Greedy(Translator):
    """Greedy decoding."""

    @torch.jit.export
    def translate(self, source: Tensor, longest: int) -> Tuple[Tensor, List[float]]:
        memory = self.transformer.encoder(self.positions(self.source(source)))
        ids = torch.ones(source.size(0), 1, dtype=torch.long)
        scores: List[float] = []
        while ids.size(1) < longest:
            x = self.transformer.decoder(self.positions(self.target(ids)), memory)
            best, following = self.head(x[:, -1]).log_softmax(-1).max(-1)
            scores.append(best.sum().item())
            ids = torch.cat([ids, following.unsqueeze(1)], dim=1)
            if bool((following == 2).all()):
                break
        return ids, scores


def pairs():
    return [(ids, torch.randint(0, 40, (ids.size(0), 6))) for ids, _ in sentences()]


case("translator", Translator, pairs, "script")
case("translator_training", Translator, pairs, "script", training=True, gradients=True)
case("translator", Translator, lambda: pairs()[:1], "trace")
case("translator_greedy", Greedy, lambda: [(torch.randint(1, 50, (2, 7)), 9)], "script", method="translate",
     settle=lambda module, inputs: lambda: None)


class Attention(nn.Module):
    """The forms of nn.MultiheadAttention: fused, with masks, added bias and zero keys."""

    def __init__(self):
        super().__init__()
        self.plain = nn.MultiheadAttention(16, 4, batch_first=True)
        self.extended = nn.MultiheadAttention(16, 4, add_bias_kv=True, add_zero_attn=True)

    def forward(self, x: Tensor, padding: Tensor):
        a = self.plain(x, x, x)
        b = self.plain(x, x, x, key_padding_mask=padding, need_weights=False)
        c = self.plain(x, x, x, average_attn_weights=False)
        q = x.transpose(0, 1)
        mask = torch.ones(q.size(0), q.size(0), dtype=torch.bool).triu(1)
        e = self.extended(q, q, q, attn_mask=mask, key_padding_mask=padding)
        return a, b[0], c, e


def attended():
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[1, 3:] = True
    return [(torch.randn(3, 5, 16), padding)]


class CrossAttention(nn.Module):
    """Keys and values of other widths, no bias: PyTorch traces these and cannot script them."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, kdim=12, vdim=10)
        self.unbiased = nn.MultiheadAttention(16, 2, bias=False)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor):
        return self.attention(queries, keys, values), self.unbiased(queries, queries, queries)


both("attention", Attention, attended)
case("cross_attention", CrossAttention, lambda: [(torch.randn(5, 3, 16), torch.randn(7, 3, 12), torch.randn(7, 3, 10))],
     "trace", gradients=True)
case("attention_training", Attention, attended, "script", training=True, gradients=True)


# ---- recurrent -------------------------------------------------------------------------------------------------------

class Tagger(nn.Module):
    """Words to tags: packed sequences, both directions."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 16)
        self.lstm = nn.LSTM(16, 12, num_layers=2, bidirectional=True, batch_first=True, dropout=0.1)
        self.tags = nn.Linear(24, 6)
        self.between = nn.Parameter(torch.randn(6, 6))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tuple[Tensor, Tensor]:
        packed = pack_padded_sequence(self.words(ids), lengths, batch_first=True, enforce_sorted=False)
        output, (hidden, _) = self.lstm(packed)
        padded, _ = pad_packed_sequence(output, batch_first=True)
        return self.tags(padded), hidden


class Viterbi(Tagger):
    """The best tags of a linear chain."""

    @torch.jit.export
    def decode(self, ids: Tensor, lengths: Tensor) -> List[List[int]]:
        emissions, _ = self.forward(ids, lengths)
        paths: List[List[int]] = []
        for row in range(ids.size(0)):
            score = emissions[row, 0]
            back: List[Tensor] = []
            for step in range(1, int(lengths[row].item())):
                best, source = (score.unsqueeze(1) + self.between).max(0)
                score = best + emissions[row, step]
                back.append(source)
            tag = int(score.argmax().item())
            path = [tag]
            for source in back[::-1]:
                tag = int(source[tag].item())
                path.append(tag)
            path.reverse()
            paths.append(path)
        return paths


def packed():
    return [(torch.randint(0, 50, (4, 7)), torch.tensor([5, 7, 2, 4])), (torch.randint(0, 50, (2, 3)), torch.tensor([3, 1]))]


case("tagger", Tagger, packed, "script", gradients=True)
case("tagger", Tagger, lambda: packed()[:1], "trace")
case("tagger_decode", Viterbi, packed, "script", method="decode", settle=lambda module, inputs: lambda: None)


class Cells(nn.Module):
    """GRU and RNN layers, and loops over cells."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(8, 6, 2, bidirectional=True)
        self.rnn = nn.RNN(12, 5, nonlinearity="relu")
        self.cell = nn.LSTMCell(5, 4)
        self.other = nn.GRUCell(4, 3)

    def forward(self, x: Tensor, start: Optional[Tensor] = None):
        y, last = self.gru(x, start)
        y, _ = self.rnn(y)
        h, c = x.new_zeros(x.size(1), 4), x.new_zeros(x.size(1), 4)
        g = x.new_zeros(x.size(1), 3)
        outputs: List[Tensor] = []
        for step in y.unbind(0):
            h, c = self.cell(step, (h, c))
            g = self.other(h, g)
            outputs.append(g)
        return torch.stack(outputs), last


case("cells", Cells, lambda: [(torch.randn(6, 3, 8), None), (torch.randn(4, 2, 8), torch.randn(4, 2, 6))], "script", gradients=True)


class Beams(nn.Module):
    """Sequence to sequence with attention and beam search over lists and dicts."""

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(30, 12), nn.Embedding(20, 12)
        self.encoder = nn.GRU(12, 16, batch_first=True)
        self.decoder = nn.GRUCell(28, 16)
        self.score = nn.Linear(16, 16, bias=False)
        self.head = nn.Linear(32, 20)
        self.names: Dict[int, str] = {0: "<pad>", 1: "<s>", 2: "</s>", 3: "the"}

    def step(self, token: Tensor, hidden: Tensor, memory: Tensor) -> Tuple[Tensor, Tensor]:
        weights = torch.softmax(torch.bmm(memory, self.score(hidden).unsqueeze(2)).squeeze(2), 1)
        context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
        hidden = self.decoder(torch.cat([self.target(token), context], 1), hidden)
        return torch.log_softmax(self.head(torch.cat([hidden, context], 1)), 1), hidden

    def forward(self, ids: Tensor, width: int, longest: int) -> List[Tuple[List[str], float]]:
        memory, last = self.encoder(self.source(ids))
        beams: List[Tuple[List[int], float]] = [([1], 0.0)]
        hidden: Dict[str, Tensor] = {"1": last[0]}
        finished: List[Tuple[List[int], float]] = []
        for _ in range(longest):
            candidates: List[Tuple[float, int, int]] = []
            states: List[Tensor] = []
            for place, (path, score) in enumerate(beams):
                key = " ".join([str(token) for token in path])
                logits, state = self.step(torch.tensor([path[-1]]), hidden[key], memory)
                states.append(state)
                values, indices = logits[0].topk(width)
                found: List[float] = values.tolist()
                at: List[int] = indices.tolist()
                for value, token in zip(found, at):
                    candidates.append((-(score + value), place, token))
            candidates.sort()
            following: List[Tuple[List[int], float]] = []
            hidden = torch.jit.annotate(Dict[str, Tensor], {})
            for loss, place, token in candidates[:width]:
                path = beams[place][0] + [token]
                if token == 2:
                    finished.append((path, -loss / len(path)))
                else:
                    following.append((path, -loss))
                    hidden[" ".join([str(t) for t in path])] = states[place]
            if len(following) == 0:
                break
            beams = following
        for path, score in beams:
            finished.append((path, score / len(path)))
        answers: List[Tuple[List[str], float]] = []
        for path, score in finished:
            words: List[str] = []
            for token in path:
                words.append(self.names[token] if token in self.names else f"w{token}")
            answers.append((words, score))
        return answers


case("beam_search", Beams, lambda: [(torch.randint(0, 30, (1, 6)), 3, 8), (torch.randint(0, 30, (1, 2)), 2, 4)], "script")


# ---- generators ------------------------------------------------------------------------------------------------------

class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(0.2), nn.Conv2d(8, 16, 3, 2, 1), nn.ELU(), nn.Flatten())
        self.mean, self.log_variance = nn.Linear(16 * 49, 5), nn.Linear(16 * 49, 5)
        self.decoder = nn.Sequential(
            nn.Linear(5, 16 * 49), nn.Unflatten(1, (16, 7, 7)), nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1),
            nn.SiLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        code = self.encoder(x)
        mean, log_variance = self.mean(code), self.log_variance(code)
        sample = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        made = self.decoder(sample)
        divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        return made, divergence, F.binary_cross_entropy(made, x, reduction="sum")


both("vae", Vae, lambda: [(torch.rand(3, 1, 28, 28),)], gradients=True)
case("vae_training", Vae, lambda: [(torch.rand(3, 1, 28, 28),)], "script", training=True, gradients=True)


class UNet(nn.Module):
    def __init__(self, smooth: bool):
        super().__init__()
        def block(before, after):
            return nn.Sequential(
                nn.Conv2d(before, after, 3, padding=1, bias=False), nn.GroupNorm(4, after), nn.ReLU(inplace=True),
                nn.Conv2d(after, after, 3, padding=1), nn.InstanceNorm2d(after, affine=True), nn.PReLU(after))
        self.down = nn.ModuleList([block(3, 8), block(8, 16), block(16, 32)])
        self.up = nn.ModuleList([block(48, 16), block(24, 8)])
        self.smooth = smooth
        self.pool, self.head = nn.MaxPool2d(2), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept: List[Tensor] = []
        for block in self.down:
            x = block(x)
            kept.append(x)
            x = self.pool(x)
        x = kept.pop()
        for block in self.up:
            other = kept.pop()
            if self.smooth:
                x = F.interpolate(x, size=other.shape[-2:], mode="bilinear", align_corners=False)
            else:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            missing = [0, other.size(3) - x.size(3), 0, other.size(2) - x.size(2)]
            x = block(torch.cat([F.pad(x, missing), other], 1))
        return self.head(x)


both("unet", lambda: UNet(True), lambda: [(torch.randn(1, 3, 33, 46),)])
case("unet_nearest", lambda: UNet(False), lambda: [(torch.randn(1, 3, 32, 40),), (torch.randn(2, 3, 27, 22),)], "script", gradients=True)


class Generator(nn.Module):
    """Transposed convolutions; spectral norm is a hook, which is traced and not scripted."""

    def __init__(self, spectral: bool):
        super().__init__()
        last = nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular")
        self.main = nn.Sequential(
            nn.ConvTranspose2d(16, 32, 4, 1, 0, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
            nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
            nn.Upsample(scale_factor=2, mode="bicubic", align_corners=True), nn.ReflectionPad2d(1), nn.Conv2d(16, 12, 3),
            nn.PixelShuffle(2), nn.utils.spectral_norm(last) if spectral else last, nn.Tanh())

    def forward(self, noise: Tensor) -> Tensor:
        return self.main(noise)


case("generator", lambda: Generator(True), lambda: [(torch.randn(2, 16, 1, 1),)], "trace", gradients=True)
case("generator", lambda: Generator(False), lambda: [(torch.randn(2, 16, 1, 1),)], "script", gradients=True)


class WaveNet(nn.Module):
    """Gated dilated causal convolutions with skips; weight norm is a hook, which is traced only."""

    def __init__(self, weighted: bool):
        super().__init__()
        self.first = nn.Conv1d(1, 12, 1)
        self.dilations = [1, 2, 4, 8]
        self.gates = nn.ModuleList([nn.Conv1d(12, 24, 2, dilation=d) for d in self.dilations])
        self.mixes = nn.ModuleList([
            nn.utils.weight_norm(nn.Conv1d(12, 20, 1)) if weighted else nn.Conv1d(12, 20, 1) for _ in self.dilations])
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(8, 16, 1), nn.ReLU(), nn.Conv1d(16, 32, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        skips: List[Tensor] = []
        for i, (gate, mix) in enumerate(zip(self.gates, self.mixes)):
            a, b = gate(F.pad(x, [self.dilations[i], 0])).chunk(2, 1)
            y, skip = mix(torch.tanh(a) * torch.sigmoid(b)).split([12, 8], 1)
            x = (x + y) * 0.5 ** 0.5
            skips.append(skip)
        return self.head(torch.stack(skips).sum(0))


class Waves(WaveNet):
    """Samples values one at a time."""

    @torch.jit.export
    def generate(self, count: int) -> Tensor:
        wave = torch.zeros(1, 1, 1)
        for _ in range(count):
            logits = self.forward(wave[:, :, -16:])[0, :, -1]
            level = torch.multinomial(F.softmax(logits, 0), 1)
            y = 2 * level.float() / 31 - 1
            value = torch.sign(y) * (torch.exp(torch.abs(y) * math.log1p(31.0)) - 1) / 31
            wave = torch.cat([wave, value.view(1, 1, 1)], 2)
        return wave


case("wavenet", lambda: WaveNet(True), lambda: [(torch.randn(2, 1, 40),)], "trace", gradients=True)
case("wavenet", lambda: WaveNet(False), lambda: [(torch.randn(2, 1, 40),)], "script", gradients=True)
case("wavenet_generate", lambda: Waves(False), lambda: [(20,)], "script", method="generate",
     settle=lambda module, inputs: lambda: None)


# ---- graphs and audio ------------------------------------------------------------------------------------------------

class GraphNet(nn.Module):
    """Message passing with scatter and index_add, attention over edges, pooling by graph."""

    def __init__(self):
        super().__init__()
        self.embed, self.message = nn.Linear(4, 8), nn.Linear(19, 8)
        self.attend, self.update = nn.Linear(16, 1), nn.GRUCell(8, 8)
        self.head = nn.Bilinear(8, 8, 3)

    def softmax_by(self, scores: Tensor, index: Tensor, count: int) -> Tensor:
        most = torch.full([count], -1e9, dtype=scores.dtype).scatter_reduce(0, index, scores, reduce="amax")
        weights = torch.exp(scores - most[index])
        return weights / scores.new_zeros(count).index_add(0, index, weights)[index]

    def forward(self, nodes: Tensor, edges: Tensor, features: Tensor, graph: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        x = torch.relu(self.embed(nodes))
        source, target = edges[0], edges[1]
        for _ in range(2):
            messages = F.leaky_relu(self.message(torch.cat([x[source], x[target], features], -1)))
            weights = self.softmax_by(self.attend(torch.cat([x[source], x[target]], -1)).squeeze(-1), target, x.size(0))
            gathered = torch.zeros_like(x).scatter_add(0, target.unsqueeze(1).expand(-1, 8), messages * weights.unsqueeze(1))
            x = self.update(gathered, x)
        graphs = int(graph.max().item()) + 1
        sizes = torch.bincount(graph, minlength=graphs).clamp(min=1)
        means = x.new_zeros(graphs, 8).index_add_(0, graph, x) / sizes.unsqueeze(1)
        largest = torch.full((graphs, 8), -1e9, dtype=x.dtype).scatter_reduce_(0, graph.unsqueeze(1).expand_as(x), x, "amax")
        degrees, order = torch.unique(target, return_counts=True)[1].sort(descending=True, stable=True)
        return self.head(means, largest), degrees, order


def graphs():
    return [(torch.randn(9, 4), torch.randint(0, 9, (2, 20)), torch.randn(20, 3), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2]))]


case("graph_net", GraphNet, graphs, "script", gradients=True)


class Audio(nn.Module):
    """Spectrogram, mel filters, decibels, a small recogniser with CTC, and the way back with istft."""

    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        low, high = torch.arange(12).unsqueeze(1) * 2.5, torch.arange(12).unsqueeze(1) * 2.5 + 5
        bins = torch.arange(33).unsqueeze(0)
        self.register_buffer("mel", torch.relu(1 - torch.abs(bins - (low + high) / 2) / 2.5))
        self.conv = nn.Conv1d(12, 16, 5, stride=2, padding=2)
        self.rnn = nn.LSTM(16, 8, batch_first=True)
        self.head = nn.Linear(8, 7)

    def forward(self, wave: Tensor, gain: float) -> Dict[str, Tensor]:
        spectrum = torch.stft(wave, 64, 16, 64, self.window, center=True, pad_mode="reflect", return_complex=True)
        power = spectrum.abs().pow(2)
        mel = torch.matmul(self.mel, power)
        decibels = 10 * torch.log10(torch.clamp(mel, min=1e-6))
        decibels = torch.maximum(decibels, decibels.amax(dim=(-2, -1), keepdim=True) - 80)
        x = torch.relu(self.conv((decibels - decibels.mean(-1, keepdim=True)) / (decibels.std(-1, keepdim=True) + 1e-5)))
        logits = F.log_softmax(self.head(self.rnn(x.transpose(1, 2))[0]), -1)
        phase = torch.angle(spectrum)
        louder = torch.polar(spectrum.abs() * gain, phase)
        back = torch.istft(louder, 64, 16, 64, self.window, length=wave.size(-1))
        cepstrum = torch.fft.irfft(torch.log(power + 1e-3), dim=1)
        lengths = torch.full((wave.size(0),), logits.size(1), dtype=torch.long)
        targets = torch.tensor([1, 2, 2, 3]).repeat(wave.size(0), 1)
        loss = F.ctc_loss(logits.transpose(0, 1), targets, lengths, torch.full_like(lengths, 4))
        return {"logits": logits, "wave": back, "cepstrum": cepstrum, "loss": loss}


case("audio", Audio, lambda: [(torch.randn(2, 400), 1.5), (torch.randn(1, 333), 0.5)], "script", atol=1e-3)
case("audio", Audio, lambda: [(torch.randn(2, 400), torch.tensor(1.5))], "trace", atol=1e-3)


# ---- optimised archives ----------------------------------------------------------------------------------------------

class Mixed(nn.Module):
    """What freezing folds: constants, batch norms, branches on training and on attributes, dropout."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.wide, self.wide_norm = nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.linear, self.out = nn.Linear(4, 6), nn.Linear(6, 2)
        self.dropout, self.scale, self.use = nn.Dropout(0.5), 0.5, True
        self.table = [1.0, 2.0]

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        x = F.relu(self.norm(self.conv(x)))
        y = F.hardtanh(self.wide_norm(self.wide(x)), 0.0, 6.0)
        y = F.hardswish(self.up(y)) + F.hardsigmoid(x.mean())
        if self.use:
            y = y * self.scale + self.table[1]
        if self.training:
            y = y + torch.rand_like(y)
        z = self.dropout(y).mean(dim=[2, 3])
        return F.relu(self.linear(z)), torch.sigmoid(self.out(F.relu(self.linear(z))))


def frozen(module, inputs):
    return torch.jit.freeze(module.eval())


def for_inference(module, inputs):
    return torch.jit.optimize_for_inference(torch.jit.freeze(module.eval()))


def for_mobile(module, inputs):
    from torch.utils.mobile_optimizer import optimize_for_mobile
    return optimize_for_mobile(module.eval())


def vision(name):
    def build():
        from torchvision import models
        return models.get_model(name, num_classes=10)
    return build


for kind in ("script", "trace"):
    for title, after in (("frozen", frozen), ("mobile", for_mobile)):
        case(f"mixed_{title}", Mixed, lambda: [(torch.randn(2, 3, 12, 12),), (torch.randn(2, 3, 12, 12),)], kind, after=after)
        case(f"resnet18_{title}", vision("resnet18"), lambda: [(torch.randn(1, 3, 48, 48),)], kind, after=after)
case("mobilenet_v3_mobile", vision("mobilenet_v3_small"), lambda: [(torch.randn(1, 3, 48, 48),)], "script", after=for_mobile)
# PyTorch cannot save what optimize_for_inference makes of convolutions and of large products.
case("tagger_inference", Tagger, packed, "script", after=for_inference)
case("tagger_frozen", Tagger, packed, "script", after=frozen)
case("bert_frozen", Bert, sentences, "script", after=frozen)
case("bert_inference", Bert, sentences, "script", after=for_inference)
