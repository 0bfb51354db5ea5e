import Glibc
import Synchronization
import Testing

@testable import TensorKernels

/// The threads that everything here computes on; `make sanitize` runs these under the thread sanitizer, which tells a
/// race that happens to end well.
@Suite struct DataParallelLoopTests {
    private static let threads = 4

    /// Counted without atomics: a piece is one thread's, and the caller reads when all are done.
    @Test(arguments: [0, 1, 3, 4, 5, 1000])
    func everyPieceRunsOnce(pieces: Int) {
        var runs = [Int](repeating: 0, count: pieces)
        runs.withUnsafeMutableBufferPointer { runs in
            nonisolated(unsafe) let runs = runs
            DataParallelLoop(threads: Self.threads).run(pieces: pieces) { piece, worker in
                runs[piece] += (0..<Self.threads).contains(worker) ? 1 : 100
            }
        }
        #expect(runs == Array(repeating: 1, count: pieces))
    }

    @Test func aPieceHasItsScratchMemoryToItself() {
        let floats = 1000
        var results = [Float](repeating: 0, count: 200)
        results.withUnsafeMutableBufferPointer { results in
            nonisolated(unsafe) let results = results
            DataParallelLoop(threads: Self.threads).run(pieces: results.count, floatsPerThread: floats) {
                piece, scratch in
                for i in 0..<floats { scratch[i] = Float(piece) }
                results[piece] = (0..<floats).reduce(0) { $0 + scratch[$1] }
            }
        }
        #expect(results == (0..<200).map { Float($0 * floats) })
    }

    /// Each phase reads what other threads wrote in the one before.
    @Test func aPhaseSeesAllOfTheOneBefore() {
        let (program, place) = Self.chainProgram(phases: 12)
        for start in [1, 2] as [Float] {
            #expect(Self.run(program, place, start: start) == Self.expected(phases: 12, start: start))
        }
    }

    @Test func callersOfAProgramAtTheSameTimeDoNotShareMemory() async {
        let (program, place) = Self.chainProgram(phases: 6)
        await withTaskGroup { group in
            for caller in 0..<6 {
                group.addTask {
                    for _ in 0..<20 {
                        #expect(
                            Self.run(program, place, start: Float(caller))
                                == Self.expected(phases: 6, start: Float(caller)))
                    }
                }
            }
        }
    }

    /// What a frame goes through: tiles by pieces, point by point, several phases at once and one after the other.
    @Test func aConvolutionOnFourThreadsIsThatOnOne() {
        let geometry = ConvolutionGeometry(
            inputChannels: 33, inputHeight: 40, inputWidth: 37, outputChannels: 70, kernelSide: 4, padding: 1)
        var numbers = TestNumbers(seed: 5)
        let input = numbers.fractions(geometry.inputCount)
        let weights = numbers.fractions(geometry.weightCount)
        let bias = numbers.fractions(geometry.outputChannels)
        let gradient = numbers.fractions(geometry.outputCount)
        func everything(threads: Int) -> [[Float]] {
            let engine = WinogradConvolution(threads: threads)
            return [
                engine.forward(input, weights: weights, bias: bias, activation: .rectifier, geometry: geometry),
                engine.inputGradient(from: gradient, weights: weights, geometry: geometry),
                engine.weightGradient(from: gradient, input: input, geometry: geometry, startingFrom: weights),
            ]
        }
        #expect(everything(threads: Self.threads) == everything(threads: 1))
    }

    /// The team is one for all: a loop that finds it taken computes without it, also from inside.
    @Test func loopsInsideALoopAreDone() {
        let loop = DataParallelLoop(threads: Self.threads)
        var sums = [Int](repeating: 0, count: 8)
        sums.withUnsafeMutableBufferPointer { sums in
            nonisolated(unsafe) let sums = sums
            loop.run(pieces: sums.count) { piece, _ in
                var marks = [Int](repeating: 0, count: 20)
                marks.withUnsafeMutableBufferPointer { marks in
                    nonisolated(unsafe) let marks = marks
                    loop.run(pieces: marks.count) { inner, _ in marks[inner] += inner }
                }
                sums[piece] = marks.reduce(0, +)
            }
        }
        #expect(sums == Array(repeating: 190, count: 8))
    }

    /// Members that sleep between rounds, and members that are still looking out; every worker is one at most once.
    @Test(arguments: [2, 4], [.zero, .milliseconds(5)] as [Duration])
    func aTeamDoesRoundAfterRound(workers: Int, lookout: Duration) {
        let team = WorkerTeam(processors: workers, lookout: lookout)
        let rounds = 500
        var counts = [Int](repeating: 0, count: workers)
        counts.withUnsafeMutableBufferPointer { counts in
            nonisolated(unsafe) let counts = counts
            for _ in 0..<rounds { #expect(team.run(workers: workers) { counts[$0] += 1 }) }
        }
        #expect(counts[0] == rounds)
        #expect(counts.allSatisfy { $0 <= rounds })
    }

    /// The caller may not leave while somebody works, and somebody else comes if there is time.
    @Test func othersComeAndAreWaitedFor() {
        let team = WorkerTeam(processors: 2, lookout: .zero)
        for _ in 0..<50 {
            let hasCome = Atomic(false)
            let isDone = Atomic(false)
            let ran = team.run(workers: 2) { worker in
                if worker == 1 {
                    hasCome.store(true, ordering: .releasing)
                    let product = (1...100_000).reduce(1) { $0 &* $1 }
                    isDone.store(product != 1, ordering: .releasing)
                } else {
                    while !hasCome.load(ordering: .acquiring) { sched_yield() }
                }
            }
            let wasDone = isDone.load(ordering: .acquiring)
            #expect(ran && wasDone)
        }
    }

    @Test func aTeamIsOnesAtATime() {
        let team = WorkerTeam(processors: 2, lookout: .zero)
        var inner: Bool?
        withUnsafeMutablePointer(to: &inner) { inner in
            nonisolated(unsafe) let inner = inner
            let outer = team.run(workers: 2) { worker in
                if worker == 0 { inner.pointee = team.run(workers: 2) { _ in } }
            }
            #expect(outer)
        }
        #expect(inner == false)
        let again = team.run(workers: 2) { _ in }
        #expect(again)
    }

    // MARK: - A program whose numbers can be told beforehand

    /// Every phase adds up three neighbours, in a ring.
    private struct RingSums: WorkPhase {
        static let count = 97
        let source: Int
        let target: Int

        var pieces: Int { Self.count }
        var scratchCount: Int { 3 }

        func run(piece: Int, in memory: ProgramMemory) {
            for i in 0..<3 {
                memory.scratch[i] = memory.shared[source + (piece + i + Self.count - 1) % Self.count]
            }
            // Small whole numbers, so that every sum is exact.
            let sum = memory.scratch[0] + memory.scratch[1] + memory.scratch[2]
            memory.shared[target + piece] = sum.truncatingRemainder(dividingBy: 1024)
        }
    }

    private static func chainProgram(phases: Int) -> (InferenceProgram, first: (input: Int, output: Int)) {
        var plan = MemoryPlan()
        let places = (0...phases).map { _ in plan.reserve(RingSums.count) }
        let chain = (0..<phases).map { RingSums(source: places[$0], target: places[$0 + 1]) }
        // The last two as one phase, which a single thread takes while the others idle.
        let sequence: [any WorkPhase] = chain.dropLast(2) + [ConcurrentPhases([SerialPhases(chain.suffix(2))])]
        return (
            InferenceProgram(sequence.map { ("", $0) }, plan: plan, threads: threads), (places[0], places[phases])
        )
    }

    private static func run(
        _ program: InferenceProgram, _ place: (input: Int, output: Int), start: Float
    ) -> [Float] {
        program.run { memory in
            for i in 0..<RingSums.count { memory[place.input + i] = start + Float(i % 7) }
        } collect: { memory in
            (0..<RingSums.count).map { memory[place.output + $0] }
        }
    }

    private static func expected(phases: Int, start: Float) -> [Float] {
        var values = (0..<RingSums.count).map { start + Float($0 % 7) }
        for _ in 0..<phases {
            values = values.indices.map { i in
                let sum =
                    values[(i + RingSums.count - 1) % RingSums.count] + values[i] + values[(i + 1) % RingSums.count]
                return sum.truncatingRemainder(dividingBy: 1024)
            }
        }
        return values
    }
}
