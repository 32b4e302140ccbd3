// The server's own log as the interface's log panel reads it: bounded, with times.

const MAX_ENTRIES = 300;

export interface LogEntry {
  readonly t: string;
  readonly m: string;
}

export class Log {
  private entries: LogEntry[] = [];
  private readonly listeners = new Set<(entry: LogEntry) => void>();

  write(text: string): void {
    const entry = { t: new Date().toISOString().replace("Z", "000"), m: `${text}\n` };
    this.entries = [...this.entries.slice(-(MAX_ENTRIES - 1)), entry];
    for (const listener of this.listeners) listener(entry);
  }

  all(): readonly LogEntry[] {
    return this.entries;
  }

  onEntry(listener: (entry: LogEntry) => void): void {
    this.listeners.add(listener);
  }
}
