/** A bound on how long a call to the server may take. */

/** The call's outcome, or a failure after `maxMs`; `cut` ends what is then still going on. */
export const answerWithin = async <A>(maxMs: number, call: Promise<A>, cut: () => void = () => {}): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${maxMs} ms`))
      cut()
    }, maxMs)
  })
  try {
    return await Promise.race([call, expired])
  } finally {
    clearTimeout(timer)
  }
}
