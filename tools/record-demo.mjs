// Records `npm run demo` and draws it as docs/demo.svg, an animation of the terminal that needs nothing but a browser:
// `node tools/record-demo.mjs [arguments of the demo]`. The recording is kept in tmp/demo-recording.json;
// `node tools/record-demo.mjs --replay` draws it again without running the demo.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const recordingFile = join(root, 'tmp', 'demo-recording.json');
const picture = join(root, 'docs', 'demo.svg');
const [columns, rows] = [100, 30];

/** Seconds: how long the session plays, how long its end stays, and how long a new line stays at least. */
const playing = 16;
const holding = 7;
const reading = 0.7;
const framesPerSecond = 10;

/** Runs the demo, under a pseudo-terminal where util-linux `script` is there: [seconds, output] for each piece of output. */
async function record(demoArguments) {
  const quoted = demoArguments.map((argument) => `'${argument.replaceAll("'", `'\\''`)}'`);
  const line = ['npm run demo', ...(quoted.length ? ['--', ...quoted] : [])].join(' ');
  const hasTerminal = spawnSync('script', ['--version']).status === 0;
  const inTerminal = `stty cols ${columns} rows ${rows} && ${line}`;
  const [command, ...argumentsOfIt] = hasTerminal
    ? ['script', '-qfec', inTerminal, '/dev/null']
    : ['sh', '-c', line];
  const began = performance.now();
  const child = spawn(command, argumentsOfIt, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, npm_config_loglevel: 'error', npm_config_progress: 'false' },
  });
  const pieces = [];
  child.stdout.setEncoding('utf8').on('data', (text) => {
    process.stdout.write(text);
    pieces.push([(performance.now() - began) / 1000, hasTerminal ? text : text.replaceAll('\n', '\r\n')]);
  });
  const code = await new Promise((done, failed) => child.on('error', failed).on('close', done));
  if (code !== 0) throw new Error(`\`${line}\` ended with ${code}; nothing was drawn`);
  return { command: line, pieces };
}

/** Pieces that come together are one, so that what was written at once is shown, and searched for paths, at once. */
function join50Milliseconds(pieces) {
  const joined = [];
  for (const [time, text] of pieces) {
    const last = joined.at(-1);
    if (last && time - last.end < 0.05) [last.text, last.end] = [last.text + text, time];
    else joined.push({ time, end: time, text });
  }
  return joined.map(({ time, text }) => ({
    time,
    text: text.replaceAll(`${root}/`, '').replaceAll(root, '.').replaceAll(homedir(), '~'),
  }));
}

/** As much of a terminal as the demo uses: lines, wrapping, the cursor's place. Colours and modes are read over. */
class Screen {
  lines = [''];
  row = 0;
  column = 0;
  saved = [0, 0];
  wraps = true;

  write(text) {
    const token = /\x1b\[([?>=]?)([\d;]*)([@-~])|\x1b([78]|[()].|[=>])|([\r\n\b])|([^\x00-\x1f\x7f])|[^]/gu;
    for (const [, mark, numbers, final, escape, control, character] of text.matchAll(token)) {
      if (character !== undefined) this.put(character);
      else if (control !== undefined) this.control(control);
      else if (escape === '7') this.saved = [this.row, this.column];
      else if (escape === '8') [this.row, this.column] = this.saved;
      else if (final !== undefined) this.sequence(mark, Number(numbers.split(';')[0]) || 0, final);
    }
  }

  put(character) {
    if (this.column >= columns) {
      if (this.wraps) this.moveTo(this.row + 1, 0);
      else this.column = columns - 1;
    }
    const line = [...(this.lines[this.row] ?? '').padEnd(this.column)];
    line[this.column++] = character;
    this.lines[this.row] = line.join('');
  }

  control(character) {
    if (character === '\r') this.column = 0;
    else if (character === '\n') this.moveTo(this.row + 1, this.column);
    else this.column = Math.max(0, this.column - 1);
  }

  sequence(mark, number, final) {
    const line = this.lines[this.row] ?? '';
    if (mark === '?') {
      if (number === 7) this.wraps = final === 'h';
    } else if (final === 'G') this.column = Math.max(0, number - 1);
    else if (final === 'A') this.moveTo(Math.max(0, this.row - (number || 1)), this.column);
    else if (final === 'B') this.moveTo(this.row + (number || 1), this.column);
    else if (final === 'C') this.column += number || 1;
    else if (final === 'D') this.column = Math.max(0, this.column - (number || 1));
    else if (final === 'K') this.lines[this.row] = number === 0 ? line.slice(0, this.column) : '';
    else if (final === 'J') this.lines.splice(this.row + (number === 0 ? 1 : 0));
  }

  moveTo(row, column) {
    [this.row, this.column] = [row, column];
    while (this.lines.length <= row) this.lines.push('');
  }

  /** The lines in view: the last ones, as in a terminal that scrolls. */
  view() {
    return this.lines.slice(-rows).map((line) => line.trimEnd());
  }
}

/** When each piece is shown. Lines stay long enough to be read; what is drawn over and over runs as fast as it must. */
function shownAt(pieces) {
  const gaps = pieces.map((piece, index) => {
    const next = pieces[index + 1];
    return { real: next ? next.time - piece.time : 0, least: piece.text.includes('\n') ? reading : 0 };
  });
  const total = (speed) => gaps.reduce((sum, { real, least }) => sum + Math.max(real / speed, least), 0);
  let [slow, fast] = [1, 1e6];
  if (total(slow) > playing) {
    for (let step = 0; step < 60; step++) {
      const middle = (slow + fast) / 2;
      if (total(middle) > playing) slow = middle;
      else fast = middle;
    }
  }
  let now = reading;
  return gaps.map(({ real, least }) => {
    const time = now;
    now += Math.max(real / (total(1) > playing ? fast : 1), least);
    return time;
  });
}

/** For each row of the picture, the texts it shows and from when to when. */
function stretches(command, pieces) {
  const times = shownAt(pieces);
  const screen = new Screen();
  screen.write(`$ ${command}\r\n`);
  const shown = [];
  const open = [];
  const look = (time) => {
    const view = screen.view();
    for (let row = 0; row < rows; row++) {
      const text = view[row] ?? '';
      if (open[row]?.text === text) continue;
      if (open[row]?.text) shown.push({ ...open[row], row, to: time });
      open[row] = { text, from: time };
    }
  };
  look(0);
  let last = 0;
  pieces.forEach(({ text }, index) => {
    screen.write(text);
    const isLast = index === pieces.length - 1;
    const isFollowedSoon = !isLast && times[index + 1] - last < 1 / framesPerSecond;
    if (isFollowedSoon && !text.includes('\n')) return;
    last = times[index];
    look(last);
  });
  const end = times.at(-1) + holding;
  open.forEach(({ text, from }, row) => text && shown.push({ text, from, row, to: end }));
  return { shown, end, height: Math.min(rows, screen.lines.findLastIndex((line) => line.trim() !== '') + 1) };
}

const escapeText = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** What a line is, for its colour. */
function kindOf(text) {
  if (text.startsWith('$ ')) return 'c';
  if (/^\[ *[\d.]+ s\]/.test(text)) return 't';
  if (text.startsWith('> ')) return 'q';
  return '';
}

function draw({ command, pieces }) {
  const joined = join50Milliseconds(pieces);
  const { shown, end, height } = stretches(command, joined);
  const [line, letter, left, top] = [19, 8.43, 18, 62];
  const [pictureWidth, pictureHeight] = [Math.ceil(columns * letter + 2 * left), top + height * line + 4];
  const percent = (time) => `${Number(((100 * time) / end).toFixed(2))}%`;
  const keyframes = [];
  const texts = shown.map(({ text, from, to, row }) => {
    const isAtEnd = to === end;
    const classes = [kindOf(text), isAtEnd ? '' : 'h'].filter(Boolean).join(' ');
    let style = '';
    if (from > 0 || !isAtEnd) {
      const name = `k${keyframes.length}`;
      keyframes.push(
        `@keyframes ${name}{0%{visibility:${from > 0 ? 'hidden' : 'visible'}}` +
          (from > 0 ? `${percent(from)}{visibility:visible}` : '') +
          (isAtEnd ? '' : `${percent(to)},to{visibility:hidden}`) +
          `}`,
      );
      style = ` style="animation-name:${name}"`;
    }
    const attributes = `${classes ? ` class="${classes}"` : ''}${style}`;
    // The length is given, so that columns stand where they stand in a terminal, whatever font is there.
    const length = Number(([...text].length * letter).toFixed(1));
    return `<text x="${left}" y="${top + row * line}" textLength="${length}"${attributes}>${escapeText(text)}</text>`;
  });
  const seconds = Math.round(joined.at(-1).time);
  const real = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const title = `npm run demo: ${real}, played faster`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${pictureWidth} ${pictureHeight}" width="${pictureWidth}" height="${pictureHeight}" role="img" aria-label="A terminal that runs the demo of weft">
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;fill:#d4dae3;white-space:pre;animation:${end.toFixed(2)}s step-end infinite}
.h{visibility:hidden}.c{fill:#8fd694;font-weight:bold}.t{fill:#7cc4ff}.q{fill:#7d8794}.w{fill:#7d8794;animation:none;text-anchor:middle}
@media (prefers-reduced-motion){text{animation:none}}
${keyframes.join('\n')}
</style>
<rect width="100%" height="100%" rx="8" fill="#14181f"/>
<circle cx="22" cy="20" r="6" fill="#ec6a5e"/><circle cx="42" cy="20" r="6" fill="#f4bf4f"/><circle cx="62" cy="20" r="6" fill="#61c554"/>
<text class="w" x="${pictureWidth / 2}" y="25">${escapeText(title)}</text>
<g xml:space="preserve">
${texts.join('\n')}
</g>
</svg>
`;
}

const isReplay = process.argv[2] === '--replay';
const recording = isReplay
  ? JSON.parse(readFileSync(recordingFile, 'utf8'))
  : await record(process.argv.slice(2));
if (!isReplay) {
  mkdirSync(dirname(recordingFile), { recursive: true });
  writeFileSync(recordingFile, JSON.stringify(recording));
}
const svg = draw(recording);
for (const path of [root, homedir()])
  if (path.length > 1 && svg.includes(path)) throw new Error(`the picture would show ${path}`);
writeFileSync(picture, svg);
console.log(`docs/demo.svg: ${Math.ceil(svg.length / 1000)} kB`);
