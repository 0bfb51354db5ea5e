import Foundation
import Testing

@testable import Archive

@Suite struct StationStateTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func open(journal: StationState.Witness = .none) throws(StationStateError) -> StationState {
        try StationState(in: StationDirectory(taking: directory.path), journal: journal)
    }

    private var counters: String { directory.file("counters") }

    @Test func everyStartIsANewSession() throws {
        for session: UInt64 in 1...3 { #expect(try open().session == session) }
    }

    @Test func partIDsGoOnWhereTheLastStartReservedTo() throws {
        do {
            let state = try open()
            #expect(try state.reservePartIDs(100) == 1..<101)
            #expect(try state.reservePartIDs(1) == 101..<102)
            #expect(state.counters == StationCounters(session: 1, partIDsReservedBelow: 102))
        }
        #expect(try open().reservePartIDs(10) == 102..<112)
    }

    @Test func aSecondInstanceIsRefusedAndChangesNothing() throws {
        let first = try open()
        let before = try bytes(of: counters)
        #expect(throws: StationStateError.heldByAnotherProcess(directory: directory.path)) { try open() }
        #expect(try bytes(of: counters) == before)
        #expect(try first.reservePartIDs(1) == 1..<2)
    }

    @Test func aDirectoryThatWasGivenBackIsFreeAndReservesNothing() throws {
        let first = try open()
        first.close()
        #expect(try open().session == 2)
        #expect(throws: StationStateError.givenBack(directory: directory.path)) { try first.reservePartIDs(1) }
    }

    @Test func theFileNeverGrows() throws {
        let state = try open()
        for _ in 0..<10 { _ = try state.reservePartIDs(1 << 32) }
        #expect(try bytes(of: counters).count == 1024)
    }

    /// Whatever a power cut leaves of the record that was being written, the one before is whole.
    @Test func aTornRecordCostsNoMoreThanItself() throws {
        let state = try open()
        _ = try state.reservePartIDs(100)
        let before = try bytes(of: counters)
        _ = try state.reservePartIDs(100)
        let after = try bytes(of: counters)
        let changed = try #require(before.indices.first { before[$0] != after[$0] })
        let slot = changed / 512 * 512..<changed / 512 * 512 + 512
        for cut in stride(from: slot.lowerBound, through: slot.upperBound, by: 16) {
            var torn = before
            torn.replaceSubrange(slot.lowerBound..<cut, with: after[slot.lowerBound..<cut])
            let copy = try TemporaryDirectory()
            try copy.write(torn, to: "counters")
            let found = try StationState(in: StationDirectory(taking: copy.path), journal: .none)
            #expect(found.session == 2)
            let isWhole = torn == after
            let next = try found.reservePartIDs(1).lowerBound
            #expect(next == (isWhole ? 201 : 101), "cut at \(cut)")
        }
    }

    @Test(arguments: [[UInt8](), Array("garbage".utf8), Array(repeating: 0, count: 1024)])
    func damagedCountersAreRefusedAndKept(content: [UInt8]) throws {
        let path = try directory.write(content, to: "counters")
        for journal in [StationState.Witness.none, .lostJournal] {
            let error = #expect(throws: StationStateError.self) { try open(journal: journal) }
            guard case .unreadable(path, _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try bytes(of: path) == content)
        }
        let known = StationCounters(session: 5, partIDsReservedBelow: 1000)
        let state = try open(journal: .journal(known))
        #expect(state.session == 6)
        #expect(try state.reservePartIDs(1).lowerBound == 1000 + StationState.margin)
    }

    @Test func whateverIsHighestCounts() throws {
        do { _ = try open().reservePartIDs(100) }
        do {
            let state = try open(journal: .journal(StationCounters(session: 40, partIDsReservedBelow: 5)))
            #expect(state.session == 41)
            #expect(try state.reservePartIDs(1) == 101..<102)
        }
        try directory.write(
            Array("{\"part_ids_reserved_below\":5000,\"schema\":1,\"session\":3}\n".utf8), to: "counters.json")
        let state = try open(journal: .journal(StationCounters(session: 41, partIDsReservedBelow: 7)))
        #expect(state.session == 42)
        #expect(try state.reservePartIDs(1) == 5000..<5001)
        #expect(try directory.names() == ["counters", "lock"])
    }

    @Test(arguments: [
        "", "garbage", "{}", "{\"schema\":1,\"session\":-1,\"part_ids_reserved_below\":1}",
        "{\"schema\":2,\"session\":1,\"part_ids_reserved_below\":1}",
        "{\"schema\":1,\"session\":1,\"part_ids_reserved_below\":0}",
        "{\"schema\":1,\"session\":18446744073709551615,\"part_ids_reserved_below\":1}",
        "{\"schema\":1,\"session\":1,\"part_ids_reserved_below\":18446744073709551615}",
        "{\"schema\":1,\"session\":1", String(repeating: "[", count: 100_000),
    ])
    func unreadableCountersOfAnEarlierVersionAreRefusedAndKept(text: String) throws {
        let path = try directory.write(Array(text.utf8), to: "counters.json")
        let error = #expect(throws: StationStateError.self) { try open() }
        guard case .unreadable(path, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try bytes(of: path) == Array(text.utf8))
    }

    @Test func aDirectoryThatCannotBeWrittenToIsAnError() {
        let error = #expect(throws: StationStateError.self) { _ = try StationDirectory(taking: "/proc/beltwatch").path }
        guard case .file(let failure) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(failure.path == "/proc/beltwatch")
    }

    @Test func aKilledProcessNeitherKeepsTheDirectoryNorRepeatsIDs() async throws {
        let state = directory.path
        for round: UInt64 in 0..<3 {
            await #expect(processExitsWith: .signal(SIGKILL)) { [state = state as String, round = round as UInt64] in
                let station = try StationState(in: StationDirectory(taking: state), journal: .none)
                let ids = try station.reservePartIDs(100)
                // What the process after the kill has to respect.
                if station.session == round + 1, ids == round * 100 + 1..<round * 100 + 101 { kill(getpid(), SIGKILL) }
            }
        }
        let after = try open()
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
