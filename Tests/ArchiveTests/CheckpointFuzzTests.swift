import Foundation
import Testing

@testable import Archive

/// Damaged files by the thousand: each is read or refused by a typed error, and nothing else happens.
///
/// `BELTWATCH_FUZZ_ROUNDS=1000000 swift test --filter CheckpointFuzzTests` looks longer; the seed is fixed, so a failure
/// comes again.
@Suite struct CheckpointFuzzTests {
    private static let rounds =
        ProcessInfo.processInfo.environment["BELTWATCH_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 1000

    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func damagedArchivesAreReadOrRefused() throws {
        let corpus = try GoldenCheckpoint.names().map { try bytes(of: GoldenCheckpoint.path($0)) }
        var damage = Damage(seed: 11, corpus: corpus)
        var refused = 0
        for _ in 0..<Self.rounds {
            if try !readsEverything(try directory.write(damage.next(), to: "a.pt")) { refused += 1 }
        }
        // Most damage meets numbers that a checksum covers.
        #expect(refused > Self.rounds / 2, "\(refused) of \(Self.rounds) damaged archives were refused")
    }

    /// The archive around the damaged pickle is right, so that its checksum does not protect the reader.
    @Test func damagedPicklesAreReadOrRefused() throws {
        let names = try GoldenCheckpoint.names().filter { $0 != "legacy.pt" && $0 != "compressed.pt" }
        let archives = try names.map { try GoldenCheckpoint.entries(of: $0) }
        var damage = Damage(seed: 12, corpus: archives.map { $0[0].bytes })
        var accepted = 0
        for round in 0..<Self.rounds {
            var builder = ZipBuilder(entries: archives[round % archives.count])
            builder.entries[0].bytes = damage.next(of: round % archives.count)
            if try readsEverything(try directory.write(builder.bytes(), to: "a.pt")) { accepted += 1 }
        }
        // Names, settings and shapes that still fit may change.
        #expect((1..<Self.rounds).contains(accepted), "\(accepted) of \(Self.rounds) damaged pickles were accepted")
    }

    @Test func damagedSafetensorsAreReadOrRefused() throws {
        let path = directory.file("whole.safetensors")
        try SafetensorsFile(
            tensors: [
                StoredTensor("conv1.weight", shape: [2, 3], [Float](repeating: 1, count: 6)),
                StoredTensor("q", shape: [2], [0.5, 1]), StoredTensor("s", .uint8, shape: [3], bytes: [1, 2, 3]),
            ], metadata: ["k": "µ\n\"v\""]
        ).write(to: path)
        var damage = Damage(seed: 13, corpus: [try bytes(of: path)])
        var accepted = 0
        for _ in 0..<Self.rounds {
            let path = try directory.write(damage.next(), to: "a.safetensors")
            do throws(SafetensorsError) {
                _ = try SafetensorsFile.Reader(path).contents()
                accepted += 1
            } catch {
                #expect(!error.description.isEmpty)
            }
        }
        #expect((1..<Self.rounds).contains(accepted), "\(accepted) of \(Self.rounds) damaged files were accepted")
    }

    /// - Returns: Whether the file was read with all its tensors; the import of the same file must end in the same way or
    ///   refuse what is no network.
    private func readsEverything(_ path: String) throws -> Bool {
        do throws(CheckpointImportError) {
            _ = try ImportedCheckpoint(reading: [path])
        } catch {
            #expect(!error.description.isEmpty)
        }
        do throws(PyTorchFileError) {
            let file = try PyTorchFile(path)
            for (name, shape) in file.shapes {
                let values = try file.values(of: name)
                #expect(values?.count == shape.reduce(1, *))
            }
            return true
        } catch {
            #expect(error.path == path && !error.description.isEmpty)
            return false
        }
    }
}

/// A stream of files that something happened to.
private struct Damage {
    private let corpus: [[UInt8]]
    private var generator: Xorshift

    init(seed: UInt64, corpus: [[UInt8]]) {
        self.corpus = corpus
        generator = Xorshift(seed: seed)
    }

    mutating func next() -> [UInt8] { next(of: .random(in: 0..<corpus.count, using: &generator)) }

    mutating func next(of position: Int) -> [UInt8] {
        var bytes = corpus[position]
        for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty { strike(&bytes) }
        return bytes
    }

    private mutating func strike(_ bytes: inout [UInt8]) {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<7, using: &generator) {
        case 0: bytes[place] = .random(in: 0...255, using: &generator)
        case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 2: bytes.remove(at: place)
        case 3: bytes.insert(bytes[Int.random(in: 0..<bytes.count, using: &generator)], at: place)
        case 4: bytes.removeSubrange(place...)
        case 5:
            // The numbers at which sizes and offsets go wrong.
            let width = [2, 4, 8][Int.random(in: 0..<3, using: &generator)]
            let extreme = [0, 1, 0x7F, 0x7FFF_FFFF, Int.max, -1, -2, 1 << 31, 1 << 32][
                Int.random(in: 0..<9, using: &generator)]
            let end = min(place + width, bytes.count)
            bytes.replaceSubrange(place..<end, with: ZipBuilder.number(extreme, end - place))
        default:
            let other = corpus[Int.random(in: 0..<corpus.count, using: &generator)]
            let begin = Int.random(in: 0..<other.count, using: &generator)
            let end = min(other.count, begin + .random(in: 1...64, using: &generator))
            bytes.replaceSubrange(place..<min(place + (end - begin), bytes.count), with: other[begin..<end])
        }
    }
}
