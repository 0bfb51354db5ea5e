import Testing

@testable import InspectionRuntime

@Suite struct TriggerTests {
    /// The numbers of frames that are parts, and of triggers that no frame answered.
    private func run(_ mode: TriggerMode, frames: [UInt64]) throws -> (parts: [UInt64], missed: [UInt64?]) {
        var trigger = Trigger(mode)
        var (parts, missed) = ([UInt64](), [UInt64?]())
        for number in frames {
            let outcome = try trigger.see(number: number, presentationTime: nil)
            missed += outcome.missed
            if outcome.fires { parts.append(number) }
        }
        return (parts, missed)
    }

    @Test func everyFrameIsAPartAndEveryLostFrameAMissedOne() throws {
        let (parts, missed) = try run(.everyFrame, frames: [0, 1, 4, 5])
        #expect(parts == [0, 1, 4, 5])
        #expect(missed == [2, 3])
    }

    @Test func aLostFrameDoesNotShiftTheOnesAfterIt() throws {
        let frames = (0..<100).filter { $0 != 12 && $0 != 13 && $0 != 50 }.map(UInt64.init)
        let (parts, missed) = try run(.frames(every: 30, offset: 12), frames: frames)
        #expect(parts == [42, 72])
        #expect(missed == [12])
    }

    /// Against the definition: every subset of ten frames, every period up to 4, every offset.
    @Test func partsAndMissedTriggersAreTogetherExactlyTheTriggerPositions() throws {
        for every in 1...4 {
            for offset in 0..<every {
                for subset in 0..<1024 {
                    let frames = (0..<10).filter { subset >> $0 & 1 == 1 }.map(UInt64.init)
                    var trigger = Trigger(.frames(every: every, offset: offset))
                    var (parts, missed) = ([UInt64](), [UInt64?]())
                    for number in frames {
                        let outcome = try trigger.see(number: number, presentationTime: nil)
                        missed += outcome.missed
                        if outcome.fires { parts.append(number) }
                    }
                    missed += try trigger.end(before: 10)
                    let positions = (0..<10).filter { $0 >= offset && ($0 - offset) % every == 0 }.map(UInt64.init)
                    #expect(parts == positions.filter(frames.contains), "every \(every) offset \(offset) of \(frames)")
                    #expect(missed == positions.filter { !frames.contains($0) }, "every \(every) offset \(offset)")
                }
            }
        }
    }

    @Test func anIntervalInTimeTakesTheFirstFrameAtOrAfterEachMoment() throws {
        var trigger = Trigger(.presentationTime(every: .milliseconds(100), offset: .milliseconds(50)))
        // Frames every 40 ms, the first at 1 s: moments are 1050, 1150, 1250 … ms.
        let fired = try (0..<10).filter { index in
            try trigger.see(
                number: UInt64(index), presentationTime: .milliseconds(1000 + 40 * index)
            ).fires
        }
        #expect(fired == [2, 4, 7, 9])
    }

    @Test func momentsThatPassWithoutAFrameAreMissed() throws {
        var trigger = Trigger(.presentationTime(every: .milliseconds(100), offset: .zero))
        #expect(try trigger.see(number: 0, presentationTime: .zero) == .init(missed: [], fires: true))
        let outcome = try trigger.see(number: 1, presentationTime: .milliseconds(350))
        #expect(outcome == .init(missed: [nil, nil], fires: true))
    }

    @Test func streamsThatGoBackOrJumpAreRefused() throws {
        var trigger = Trigger(.everyFrame)
        _ = try trigger.see(number: 5, presentationTime: nil)
        #expect(throws: TriggerError.numberWentBack(from: 6, to: 5)) {
            try trigger.see(number: 5, presentationTime: nil)
        }
        #expect(throws: TriggerError.implausibleGap(triggers: 999_994, beforeFrame: 1_000_000)) {
            try trigger.see(number: 1_000_000, presentationTime: nil)
        }
        var timed = Trigger(.presentationTime(every: .seconds(1), offset: .zero))
        #expect(throws: TriggerError.noPresentationTime(frame: 0)) { try timed.see(number: 0, presentationTime: nil) }
        _ = try timed.see(number: 1, presentationTime: .seconds(2))
        #expect(throws: TriggerError.timeWentBack(from: .seconds(2), to: .seconds(1))) {
            try timed.see(number: 2, presentationTime: .seconds(1))
        }
        #expect(throws: TriggerError.implausibleGap(triggers: 99_997, beforeFrame: 3)) {
            try timed.see(number: 3, presentationTime: .seconds(100_000))
        }
    }
}
