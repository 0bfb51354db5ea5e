import Foundation
import Testing

@testable import Archive

@Suite struct StationStateTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func everyStartIsANewSession() throws {
        for session: UInt64 in 1...3 {
            #expect(try StationState(directory: directory.file("state")).session == session)
        }
    }

    @Test func partIDsGoOnWhereTheLastStartReservedTo() throws {
        do {
            let state = try StationState(directory: directory.path)
            #expect(try state.reservePartIDs(100) == 1..<101)
            #expect(try state.reservePartIDs(1) == 101..<102)
        }
        #expect(try StationState(directory: directory.path).reservePartIDs(10) == 102..<112)
    }

    @Test func aSecondInstanceIsRefusedAndChangesNothing() throws {
        let first = try StationState(directory: directory.path)
        let counters = try bytes(of: directory.file("counters.json"))
        #expect(throws: StationStateError.heldByAnotherProcess(directory: directory.path)) {
            try StationState(directory: directory.path)
        }
        #expect(try bytes(of: directory.file("counters.json")) == counters)
        #expect(try first.reservePartIDs(1) == 1..<2)
    }

    @Test(arguments: [
        "", "garbage", "{}", "{\"schema\":1,\"session\":-1,\"part_ids_reserved_below\":1}",
        "{\"schema\":2,\"session\":1,\"part_ids_reserved_below\":1}",
        "{\"schema\":1,\"session\":1,\"part_ids_reserved_below\":0}",
        "{\"schema\":1,\"session\":18446744073709551615,\"part_ids_reserved_below\":1}",
        "{\"schema\":1,\"session\":1,\"part_ids_reserved_below\":18446744073709551615}",
        "{\"schema\":1,\"session\":1", String(repeating: "[", count: 100_000),
    ])
    func unreadableCountersAreRefusedAndKept(text: String) throws {
        let path = try directory.write(Array(text.utf8), to: "counters.json")
        let error = #expect(throws: StationStateError.self) { try StationState(directory: directory.path) }
        guard case .unreadable(path, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try bytes(of: path) == Array(text.utf8))
    }

    @Test func aDirectoryThatCannotBeWrittenToIsAnError() {
        let error = #expect(throws: StationStateError.self) { try StationState(directory: "/proc/beltwatch") }
        guard case .file(let failure) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(failure.path == "/proc/beltwatch")
    }

    @Test func aKilledProcessNeitherKeepsTheDirectoryNorRepeatsIDs() async throws {
        let state = directory.file("state")
        for round: UInt64 in 0..<3 {
            await #expect(processExitsWith: .signal(SIGKILL)) { [state = state as String, round = round as UInt64] in
                let station = try StationState(directory: state)
                let ids = try station.reservePartIDs(100)
                // What the process after the kill has to respect.
                if station.session == round + 1, ids == round * 100 + 1..<round * 100 + 101 { kill(getpid(), SIGKILL) }
            }
        }
        let after = try StationState(directory: state)
        #expect(after.session == 4)
        #expect(try after.reservePartIDs(1) == 301..<302)
    }

    @Test func idsAtHandAreGivenOutOnceAndInOrder() {
        var ids = PartIDs()
        #expect(ids.next() == nil)
        ids.add(1..<3)
        ids.add(10..<10)
        ids.add(7..<8)
        #expect(ids.count == 3)
        #expect([ids.next(), ids.next(), ids.next(), ids.next()] == [1, 2, 7, nil])
        #expect(ids.count == 0)
    }
}
