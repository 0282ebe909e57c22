// Original file: weft/v1/client.proto


export interface ShutdownResponse {
}

export interface ShutdownResponse__Output {
}
