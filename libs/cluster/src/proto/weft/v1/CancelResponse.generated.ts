// Original file: weft/v1/client.proto


export interface CancelResponse {
}

export interface CancelResponse__Output {
}
