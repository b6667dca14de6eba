/** What a generation holds and takes. */
export interface GenerationSize {
  /** Partials of minute, hour and day, of all tenants; exact up to some hundred thousand, beyond as the engine's statistics say. */
  readonly rows: bigint
  /** Of the disk, ledgers and indexes included; where generations share a file, its part of what the file uses by the number of entries. */
  readonly bytes: bigint
}
