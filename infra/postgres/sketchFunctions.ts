/**
 * SQL functions that read the canonical bytes of uniques and quantiles (domain/measures), for BI tools.
 *
 * A view shows the partials of a window as one `bytea`: per partial its length (four bytes, big endian) and its bytes.
 * So a query can merge any number of windows: `uniques(array_agg(visitors_state))`. The arithmetic is that of the
 * TypeScript code, operation by operation, and gives the same doubles.
 */
import { EXACT_MAX } from "@tidemark/domain/measures/uniques"
import { RANK_MAX, REGISTERS } from "@tidemark/domain/measures/hyperloglog"
import { RELATIVE_ACCURACY } from "@tidemark/domain/measures/quantiles"

/** Key of the sketch bucket that ends at 1, and the largest key: part of the stored format (domain/measures/quantiles.ts). */
const KEY_OFFSET = 1_037
const KEY_MAX = 2_419

const partials = (schema: string): string => `
CREATE FUNCTION ${schema}.partial(state bytea) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN int4send(length(state)) || state;
CREATE FUNCTION ${schema}.partials(states bytea[]) RETURNS SETOF bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  packed bytea;
  at int;
  size int;
BEGIN
  FOREACH packed IN ARRAY states LOOP
    at := 0;
    WHILE at < length(packed) LOOP
      size := (get_byte(packed, at) << 24) | (get_byte(packed, at + 1) << 16) | (get_byte(packed, at + 2) << 8) | get_byte(packed, at + 3);
      RETURN NEXT substring(packed FROM at + 5 FOR size);
      at := at + 4 + size;
    END LOOP;
  END LOOP;
END $$;`

/** Tags 5 (set), 6 (sparse pairs), 7 (dense registers): `encoding.ts`. */
const uniques = (schema: string): string => `
CREATE FUNCTION ${schema}.uniques(states bytea[]) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  hashes bigint;
  histogram bigint[] := array_fill(0::bigint, ARRAY[${RANK_MAX + 1}]);
  entry record;
  x float8; y float8; z float8; before float8;
BEGIN
  IF NOT EXISTS (SELECT FROM ${schema}.partials(states) p WHERE get_byte(p, 0) <> 5) THEN
    SELECT count(DISTINCT substring(p FROM i FOR 8)) INTO hashes FROM ${schema}.partials(states) p, generate_series(2, length(p), 8) i;
    IF hashes <= ${EXACT_MAX} THEN RETURN hashes; END IF;
  END IF;
  FOR entry IN
    SELECT ranks.rank, count(*) AS registers FROM (
      SELECT found.register, max(found.rank) AS rank FROM (
        SELECT substring(bits FROM 1 FOR 14)::bit(14)::int AS register, coalesce(nullif(position(B'1' IN substring(bits FROM 15)), 0), ${RANK_MAX}) AS rank
          FROM ${schema}.partials(states) p, generate_series(2, length(p), 8) i,
            LATERAL (SELECT ('x' || encode(substring(p FROM i FOR 8), 'hex'))::bit(64) AS bits) hash
          WHERE get_byte(p, 0) = 5
        UNION ALL
        SELECT pair >> 6, pair & 63
          FROM ${schema}.partials(states) p, generate_series(1, length(p) - 1, 3) i,
            LATERAL (SELECT (get_byte(p, i) << 16) | (get_byte(p, i + 1) << 8) | get_byte(p, i + 2) AS pair) pairs
          WHERE get_byte(p, 0) = 6
        UNION ALL
        SELECT i, (((get_byte(p, 1 + i / 4 * 3) << 16) | (get_byte(p, 2 + i / 4 * 3) << 8) | get_byte(p, 3 + i / 4 * 3)) >> (18 - 6 * (i % 4))) & 63
          FROM ${schema}.partials(states) p, generate_series(0, ${REGISTERS - 1}) i
          WHERE get_byte(p, 0) = 7
      ) found GROUP BY found.register
    ) ranks WHERE ranks.rank > 0 GROUP BY ranks.rank
  LOOP
    histogram[entry.rank + 1] := entry.registers;
  END LOOP;
  histogram[1] := ${REGISTERS} - (SELECT sum(n) FROM unnest(histogram) n);
  x := 1 - histogram[${RANK_MAX + 1}]::float8 / ${REGISTERS};
  z := 0;
  IF x <> 0 AND x <> 1 THEN
    y := 1; z := 1 - x; before := 'NaN';
    WHILE z <> before LOOP
      x := sqrt(x); before := z; y := y * 0.5; z := z - power(1 - x, 2) * y;
    END LOOP;
    z := z / 3;
  END IF;
  z := ${REGISTERS} * z;
  FOR rank IN REVERSE ${RANK_MAX - 1}..1 LOOP z := 0.5 * (z + histogram[rank + 1]); END LOOP;
  x := histogram[1]::float8 / ${REGISTERS};
  IF x = 1 THEN RETURN 0; END IF;
  y := 1; before := 'NaN';
  DECLARE sigma float8 := x;
  BEGIN
    WHILE sigma <> before AND x <> 0 LOOP
      x := x * x; before := sigma; sigma := sigma + x * y; y := y + y;
    END LOOP;
    z := z + ${REGISTERS} * sigma;
  END;
  RETURN floor(${REGISTERS * REGISTERS}::float8 / (2 * ${Math.LN2}::float8 * z) + 0.5)::bigint;
END $$;`

/**
 * Reads the varints of each partial byte by byte: count, sum, min, max, number of buckets, then key step and count of
 * each bucket. Seven bytes fit a bigint; only the digits beyond are numeric. Signed ones carry their sign in the lowest bit.
 */
const quantile = (schema: string): string => `
CREATE FUNCTION ${schema}.quantile(states bytea[], q float8, scale int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  gamma CONSTANT float8 := (1 + ${RELATIVE_ACCURACY}::float8) / (1 - ${RELATIVE_ACCURACY}::float8);
  buckets bigint[] := array_fill(0::bigint, ARRAY[${2 * KEY_MAX + 1}]);
  total numeric := 0; low numeric; high numeric; rank numeric; seen numeric := 0;
  p bytea; byte int; shift int; field int; small bigint; large numeric; signed numeric; key int; bound float8 := 1; middle float8;
BEGIN
  FOR p IN SELECT * FROM ${schema}.partials(states) LOOP
    field := 0; small := 0; large := 0; shift := 0;
    FOR at IN 1..length(p) - 1 LOOP
      byte := get_byte(p, at);
      IF shift < 49 THEN small := small | ((byte & 127)::bigint << shift);
      ELSE large := large + (byte & 127) * 2::numeric ^ shift; END IF;
      shift := shift + 7;
      CONTINUE WHEN byte > 127;
      IF field > 4 THEN
        IF field % 2 = 0 THEN buckets[key + ${KEY_MAX + 1}] := buckets[key + ${KEY_MAX + 1}] + small + large::bigint;
        ELSIF field = 5 THEN key := CASE WHEN small % 2 = 0 THEN small / 2 ELSE -((small + 1) / 2) END;
        ELSE key := key + small; END IF;
      ELSIF field = 0 THEN total := total + small + large;
      ELSIF field < 4 THEN
        signed := CASE WHEN small % 2 = 0 THEN div(small + large, 2) ELSE -div(small + large + 1, 2) END;
        IF field = 2 THEN low := least(low, signed); ELSIF field = 3 THEN high := greatest(high, signed); END IF;
      END IF;
      field := field + 1; small := 0; large := 0; shift := 0;
    END LOOP;
  END LOOP;
  IF total = 0 THEN RETURN NULL; END IF;
  rank := greatest(1, div(floor(q * 1000000 + 0.5)::numeric * total + 999999, 1000000));
  FOR i IN 1..${2 * KEY_MAX + 1} LOOP
    seen := seen + buckets[i];
    key := i - ${KEY_MAX + 1};
    EXIT WHEN seen >= rank;
  END LOOP;
  FOR i IN ${KEY_OFFSET + 1}..abs(key) LOOP bound := bound * gamma; END LOOP;
  FOR i IN abs(key)..${KEY_OFFSET - 1} LOOP bound := bound / gamma; END LOOP;
  middle := CASE WHEN key = 0 THEN 0 ELSE sign(key) * (2 * bound / (gamma + 1)) END;
  RETURN least(greatest(middle, low::float8 / (10::numeric ^ scale)::float8), high::float8 / (10::numeric ^ scale)::float8);
END $$;`

/** Statements that create the functions in `schema`, which is quoted already. */
export const sketchFunctions = (schema: string): string => [partials(schema), uniques(schema), quantile(schema)].join("\n")
