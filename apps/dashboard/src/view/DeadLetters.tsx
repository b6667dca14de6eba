/** Accepted events that the projection cannot fold, and the version of its definition that would. */
import { deadReason, placeText } from "../model/ledgers.ts"
import type { DeadLetter } from "../model/ledgers.ts"
import type { ListProps } from "./Ledgers.tsx"

const Row = ({ letter, follow }: { readonly letter: DeadLetter } & Pick<ListProps, "follow">) => {
  const { event, partition, offset, code, pointer, foldedByVersion } = letter
  return (
    <tr>
      <th scope="row">
        {event === null ? <span className="muted">not readable</span> : <button type="button" className="link" onClick={() => follow({ id: event.id, partition, offset })} title="What became of it"><bdi>{event.id}</bdi></button>}
        <small className="muted">{event === null ? "" : <><bdi>{event.type}</bdi> · </>}{placeText(letter)}</small>
      </th>
      <td><code>{code}</code></td>
      <td data-name="Where" className="wrap"><code>{pointer === "" ? "–" : pointer}</code></td>
      <td data-name="Why" className="wrap">{deadReason(letter)}</td>
      <td data-name="Counted by" className="wrap">{foldedByVersion === null ? "none that is shipped" : <strong>version {foldedByVersion}, once rebuilt</strong>}</td>
    </tr>
  )
}

export const DeadLetters = ({ projection, letters, follow }: Pick<ListProps, "follow"> & { readonly projection: string; readonly letters: readonly DeadLetter[] }) => (
  <>
    {letters.some(({ foldedByVersion }) => foldedByVersion !== null) ? <p className="verdict" role="status"><span aria-hidden="true">→</span>The shipped definition of {projection} counts some of these: rebuild it on the page Projections, or with tidemark rebuild start {projection}.</p> : null}
    <div className="table-box stacked" tabIndex={0} role="region" aria-label="Dead letters">
      <table>
        <thead><tr><th scope="col">Event</th><th scope="col">Code</th><th scope="col">Where</th><th scope="col">Why</th><th scope="col">Counted by</th></tr></thead>
        <tbody>{letters.map((letter) => <Row key={placeText(letter)} letter={letter} follow={follow} />)}</tbody>
      </table>
    </div>
  </>
)
