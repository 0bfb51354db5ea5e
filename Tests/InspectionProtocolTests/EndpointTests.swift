import InspectionProtocol
import Testing

@Suite struct EndpointTests {
    @Test(arguments: [
        "tcp://127.0.0.1:5556", "tcp://127.0.0.1:*", "tcp://[::1]:1", "tcp://box.example.com:65535", "tcp://*:7",
        "ipc:///run/beltwatch/line1/verdicts",
    ])
    func isReadBack(text: String) throws {
        #expect(try Endpoint(text).description == text)
    }

    @Test(
        arguments: [
            ("udp://127.0.0.1:1", .unknownTransport("udp://127.0.0.1:1")), ("", .unknownTransport("")),
            ("127.0.0.1:5556", .unknownTransport("127.0.0.1:5556")), ("tcp://127.0.0.1", .noPort("tcp://127.0.0.1")),
            ("tcp://:5", .noPort("tcp://:5")), ("tcp://a:0", .noPort("tcp://a:0")),
            ("tcp://a:65536", .noPort("tcp://a:65536")), ("tcp://::1:5", .noPort("tcp://::1:5")),
            ("ipc://verdicts", .pathNotAbsolute("ipc://verdicts")), ("ipc:///run/", .pathNotAbsolute("ipc:///run/")),
        ] as [(String, EndpointError)])
    func anythingElseIsRefusedWithTheReason(text: String, error: EndpointError) {
        #expect(throws: error) { try Endpoint(text) }
    }

    @Test func aPathMustFitIntoASocketAddress() throws {
        let path = "/" + String(repeating: "x", count: Endpoint.longestPath - 1)
        #expect(try Endpoint("ipc://" + path).transport == .ipc(path: path))
        #expect(throws: EndpointError.pathTooLong("ipc://\(path)x")) { try Endpoint("ipc://\(path)x") }
    }

    @Test func onlyLoopbackAddressesAndFilesAreLocal() throws {
        for text in ["tcp://127.0.0.1:*", "tcp://127.255.0.9:1", "tcp://[::1]:*", "ipc:///a"] {
            #expect(try Endpoint(text).isLocal, "\(text)")
        }
        for text in [
            "tcp://0.0.0.0:1", "tcp://*:1", "tcp://localhost:1", "tcp://127.0.0.1.a:1", "tcp://[::]:1",
            "tcp://127..0.1:1",
        ] {
            #expect(try !Endpoint(text).isLocal, "\(text)")
        }
    }
}
