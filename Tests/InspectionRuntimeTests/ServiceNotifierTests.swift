import Foundation
import Glibc
import Testing

@testable import InspectionRuntime

/// The datagram socket of a service manager.
private final class NotifySocket {
    private let descriptor: Int32

    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        if path.hasPrefix("@") { bytes[0] = 0 } else { bytes.append(0) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(result == 0, "cannot bind \(path): \(String(cString: strerror(errno)))")
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    func receive() -> String? {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
    }
}

@Suite struct ServiceNotifierTests {
    @Test func speaksToASocketWithAPath() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "notify-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try checkConversation(at: directory.appending(path: "socket").path)
    }

    @Test func speaksToAnAbstractSocket() throws {
        try checkConversation(at: "@beltwatch-test-\(UUID().uuidString)")
    }

    private func checkConversation(at path: String) throws {
        let socket = try NotifySocket(path: path)
        let notifier = try #require(ServiceNotifier(environment: ["NOTIFY_SOCKET": path]))
        try notifier.send(.ready, .status("running\nat full speed"))
        #expect(socket.receive() == "READY=1\nSTATUS=running at full speed")
        try notifier.send(.watchdog)
        #expect(socket.receive() == "WATCHDOG=1")
        try notifier.send(.stopping)
        #expect(socket.receive() == "STOPPING=1")
    }

    @Test func withoutAServiceManagerThereIsNobodyToTell() {
        #expect(ServiceNotifier(environment: [:]) == nil)
        #expect(ServiceNotifier(environment: ["NOTIFY_SOCKET": "relative"]) == nil)
    }

    @Test func theWatchdogIsForThisProcessOnly() throws {
        let mine = ["NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "\(getpid())"]
        #expect(ServiceNotifier(environment: mine)?.watchdogInterval == .seconds(5))
        let other = ["NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"]
        #expect(try #require(ServiceNotifier(environment: other)).watchdogInterval == nil)
        #expect(try #require(ServiceNotifier(environment: ["NOTIFY_SOCKET": "/run/n"])).watchdogInterval == nil)
    }

    @Test func aSocketThatIsGoneIsAnErrorWithItsName() throws {
        let notifier = try #require(ServiceNotifier(environment: ["NOTIFY_SOCKET": "/nowhere/socket"]))
        let error = #expect(throws: ServiceNotifierError.self) { try notifier.send(.ready) }
        #expect("\(try #require(error))".contains("/nowhere/socket"))
        let long = "/" + String(repeating: "x", count: 120)
        let tooLong = try #require(ServiceNotifier(environment: ["NOTIFY_SOCKET": long]))
        #expect(throws: ServiceNotifierError.pathTooLong(long)) { try tooLong.send(.ready) }
    }
}
