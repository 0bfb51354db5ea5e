import Testing

@testable import InspectionClient

@Suite struct SilenceDetectorTests {
    private let start = MonotonicMoment(microseconds: 1_000_000)
    private var detector: SilenceDetector

    init() {
        detector = SilenceDetector(limit: .milliseconds(350), start: start)
    }

    @Test mutating func exactlyTheLimitIsNotYetSilence() {
        let atTheLimit = detector.noticesSilence(at: start.advanced(by: .milliseconds(350)))
        let beyond = detector.noticesSilence(at: start.advanced(by: .microseconds(350_001)))
        #expect((atTheLimit, beyond) == (false, true))
    }

    @Test mutating func everySilenceIsNoticedOnceAndEndsWithItsLength() {
        let noticed = [1, 2, 3].map { detector.noticesSilence(at: start.advanced(by: .seconds($0))) }
        #expect(noticed == [true, false, false])
        let ends = [10, 11].map { detector.heard(at: start.advanced(by: .seconds($0))) }
        #expect(ends == [.seconds(10), nil])
        let again = detector.noticesSilence(at: start.advanced(by: .seconds(12)))
        #expect(again)
    }

    @Test mutating func theWaitEndsAtTheLimitAndDuringSilenceNever() {
        #expect(detector.timeToLimit(at: start.advanced(by: .milliseconds(100))) == .milliseconds(250))
        #expect(detector.timeToLimit(at: start.advanced(by: .milliseconds(400))) == .zero)
        _ = detector.noticesSilence(at: start.advanced(by: .milliseconds(400)))
        #expect(detector.timeToLimit(at: start.advanced(by: .milliseconds(400))) == nil)
    }

    @Test mutating func theStationsOwnTimesShowASilenceToo() {
        let noticed = [1_350_000, 1_350_001, 1_400_000, 0].map { detector.noticesSilence(from: 1_000_000, to: $0) }
        #expect(noticed == [false, true, false, false])
    }
}
