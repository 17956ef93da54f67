// What the Workers behind the gateway are told, for tests that call them over their bindings.

/** The gateway's word for who calls, apart from what is given; a member that is undefined is left out. */
export const identity = (principal: string, more: object = {}) => JSON.stringify({ v: 1, principal, credential: "k1", proof: "http-signature",
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", request_id: "8f2d6a1c9b3e4f50-LHR", ...more });
