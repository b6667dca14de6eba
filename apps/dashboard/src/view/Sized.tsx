/** Gives a drawing the size of the box around it, whenever that changes. */
import { useLayoutEffect, useRef, useState } from "react"
import type { ReactNode } from "react"

export interface Size {
  /** CSS pixels. */
  readonly width: number
  readonly height: number
}

/** Smaller boxes stay empty: there is nothing to see in them. */
const WIDTH_MIN = 40

/** Fills its parent; draws as soon as its size is known. */
export const Sized = ({ children }: { readonly children: (size: Size) => ReactNode }) => {
  const box = useRef<HTMLDivElement>(null)
  const [size, setSize] = useState<Size>({ width: 0, height: 0 })
  useLayoutEffect(() => {
    const element = box.current
    if (element === null) return undefined
    const measure = (): void => {
      const { clientWidth: width, clientHeight: height } = element
      setSize((known) => (known.width === width && known.height === height ? known : { width, height }))
    }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return <div ref={box} className="sized">{size.width < WIDTH_MIN ? null : children(size)}</div>
}
