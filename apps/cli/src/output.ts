// How commands show what they do: a live bar on a terminal, plain lines elsewhere, one JSON object a line with --json.
import { Presets, SingleBar } from 'cli-progress';
import Table from 'cli-table3';

export interface OutputOptions {
  readonly json?: boolean;
}

export class Output {
  readonly isJson: boolean;
  readonly isLive: boolean;

  constructor(options: OutputOptions = {}) {
    this.isJson = options.json ?? false;
    this.isLive = !this.isJson && process.stdout.isTTY === true;
  }

  /** A line for people; nothing with --json. */
  line(text = ''): void {
    if (!this.isJson) process.stdout.write(`${text}\n`);
  }

  /** A record for machines; nothing without --json. */
  record(kind: string, value: object): void {
    if (this.isJson) process.stdout.write(`${JSON.stringify({ kind, ...value })}\n`);
  }

  table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
    const table = new Table({ head: [...head], style: { head: [], border: [] }, chars: plainBorders });
    for (const row of rows) table.push(row.map(String));
    this.line(table.toString());
  }

  /** Progress of long work: one live line on a terminal; elsewhere a line at every tenth. */
  progress(total: number, label: string): Progress {
    return this.isLive
      ? new LiveProgress(total, label)
      : new LineProgress(total, label, (text) => this.line(text));
  }
}

export interface Progress {
  update(done: number, detail: string): void;
  /** A line above the bar. */
  note(text: string): void;
  stop(): void;
}

class LiveProgress implements Progress {
  private readonly bar: SingleBar;
  constructor(total: number, label: string) {
    this.bar = new SingleBar(
      {
        format: `${label} {bar} {value}/{total}  {detail}  {eta_formatted} left`,
        hideCursor: true,
        barsize: 24,
        fps: 8,
        gracefulExit: true,
      },
      Presets.shades_classic,
    );
    this.bar.start(total, 0, { detail: '' });
  }
  update(done: number, detail: string): void {
    this.bar.update(done, { detail });
  }
  note(text: string): void {
    process.stdout.write(`\r\u001b[K${text}\n`);
  }
  stop(): void {
    this.bar.stop();
  }
}

class LineProgress implements Progress {
  private next: number;
  constructor(
    private readonly total: number,
    private readonly label: string,
    private readonly line: (text: string) => void,
  ) {
    this.next = 1;
  }
  update(done: number, detail: string): void {
    if (done < this.next && done < this.total) return;
    this.line(`${this.label} ${done}/${this.total}  ${detail}`);
    this.next = done + Math.max(1, Math.ceil(this.total / 10));
  }
  note(text: string): void {
    this.line(text);
  }
  stop(): void {}
}

const plainBorders = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** `1.5 MB`: bytes with three significant digits. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}
