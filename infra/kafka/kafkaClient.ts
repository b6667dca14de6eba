/** kafkajs with every default that matters written out, and silent: what fails is told through errors. */
import { Kafka, logLevel } from "kafkajs"
import type { Producer } from "kafkajs"
import { parseBrokers } from "./topicBrokers.ts"

const CONNECT_MS_MAX = 3_000
const REQUEST_MS_MAX = 10_000
/** Tries of one send: with these pauses they outlast a broker's restart of about 25 s. */
const SEND_RETRIES = 14
const RETRY_FIRST_MS = 100
const RETRY_MS_MAX = 3_000

/** A client for `brokers`, "host:port,host:port". */
export const makeKafka = (brokers: string, clientId: string): Kafka =>
  new Kafka({
    brokers: parseBrokers(brokers).map(({ host, port }) => `${host}:${port}`),
    clientId,
    connectionTimeout: CONNECT_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    enforceRequestTimeout: true,
    retry: { retries: 2, initialRetryTime: RETRY_FIRST_MS, maxRetryTime: RETRY_MS_MAX },
    logLevel: logLevel.NOTHING,
    logCreator: () => () => {}
  })

/** One idempotent producer; a send is retried under the same sequence numbers, so that it is stored once. */
export const makeProducer = (kafka: Kafka): Producer =>
  kafka.producer({
    idempotent: true,
    allowAutoTopicCreation: false,
    createPartitioner: () => ({ message }) => message.partition ?? 0,
    retry: { retries: SEND_RETRIES, initialRetryTime: RETRY_FIRST_MS, maxRetryTime: RETRY_MS_MAX, multiplier: 2 }
  })
