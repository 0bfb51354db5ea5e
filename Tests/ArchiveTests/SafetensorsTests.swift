import Foundation
import Testing

@testable import Archive

@Suite struct SafetensorsTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func everyTypeComesBackBitForBit() throws {
        let file = SafetensorsFile(
            tensors: [
                StoredTensor("halves", shape: [3], [Float16(0.1), -.infinity, .nan]),
                StoredTensor("floats", shape: [2, 2], [Float(0.1), -0, .nan, .leastNonzeroMagnitude]),
                StoredTensor("doubles", shape: [2], [Double.pi, -.infinity]),
                StoredTensor("integers", shape: [1, 2], [Int64.min, 7]),
                StoredTensor("bytes", .uint8, shape: [5], bytes: [0, 1, 127, 128, 255]),
                StoredTensor("empty", shape: [0, 4], [Float]()),
                StoredTensor("scalar", shape: [], [Double(2)]),
            ],
            metadata: ["quote \" backslash \\": "newline \n tab \t bell \u{7} µ 𝛍 /", "": ""])
        let path = directory.file("a.safetensors")
        try file.write(to: path)
        let contents = try SafetensorsFile.Reader(path).contents()
        #expect(contents.file == file)
        #expect(contents.dataDigest == file.dataDigest)
        #expect(contents.file.tensor(named: "doubles")?.doubles == [.pi, -.infinity])
        #expect(contents.file.tensor(named: "integers")?.integers == [.min, 7])
        #expect(contents.file.tensor(named: "halves")?.floats?[0] == Float(Float16(0.1)))
        #expect(contents.file.tensor(named: "bytes")?.floats == nil)
    }

    @Test func bytesAreTheOnesOfTheFormat() throws {
        let file = SafetensorsFile(
            tensors: [StoredTensor("b", .uint8, shape: [1], bytes: [9]), StoredTensor("a", shape: [1], [Float(1)])],
            metadata: ["z": "1", "k": "v"])
        let path = directory.file("a.safetensors")
        try file.write(to: path)
        let json =
            #"{"__metadata__":{"k":"v","z":"1"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
            + #""b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}"#
        let padded = json + String(repeating: " ", count: (8 - json.utf8.count % 8) % 8)
        #expect(
            try bytes(of: path) == [UInt8(padded.utf8.count), 0, 0, 0, 0, 0, 0, 0] + Array(padded.utf8)
                + [0, 0, 0x80, 0x3F, 9])
    }

    /// Header text, size of the data, and the check that has to fail.
    static let malformed: [(String, Int, SafetensorsError)] = [
        (tensor("a", "F32", "2", "0,8"), 4, .offsetsBeyondEndOfFile(tensor: "a", end: 8, dataByteCount: 4)),
        (tensor("a", "F32", "2", "0,8"), 9, .trailingBytes(1)),
        (tensor("a", "F32", "2", "4,12"), 12, .gap(before: "a", byteCount: 4)),
        (tensor("a", "U8", "4", "0,4") + "," + tensor("b", "U8", "4", "3,7"), 7, .overlappingOffsets(tensor: "b")),
        (tensor("a", "U8", "4", "0,4") + "," + tensor("b", "U8", "4", "0,4"), 4, .overlappingOffsets(tensor: "b")),
        (tensor("a", "U8", "1", "0,1") + "," + tensor("a", "U8", "1", "1,2"), 2, .duplicateName("a")),
        (tensor("a", "U8", "1", "0,1") + "," + tensor("\\u0061", "U8", "1", "1,2"), 2, .duplicateName("a")),
        (tensor("a", "F32", "2", "8,0"), 8, .reversedOffsets(tensor: "a")),
        (tensor("a", "F32", "3", "0,8"), 8, .sizeMismatch(tensor: "a", needed: 12, spanned: 8)),
        (tensor("a", "F32", "4611686018427387904,4", "0,0"), 0, .shapeOverflow(tensor: "a")),
        (tensor("a", "U8", "4294967296,4294967296", "0,0"), 0, .shapeOverflow(tensor: "a")),
        (tensor("a", "Q7", "1", "0,1"), 1, .unknownElementType(tensor: "a", "Q7")),
        (#""__metadata__":{"k":"1","k":"2"}"#, 0, .duplicateName("__metadata__.k")),
        (#""__metadata__":{},"__metadata__":{}"#, 0, .duplicateName("__metadata__")),
        ("", 3, .trailingBytes(3)),
    ]

    @Test(arguments: malformed)
    func refusesByTheNameOfTheFailedCheck(json: String, dataByteCount: Int, error: SafetensorsError) throws {
        let path = try write(header: "{\(json)}", dataByteCount: dataByteCount)
        #expect(throws: error) { _ = try SafetensorsFile.Reader(path) }
    }

    @Test(arguments: [
        "", " {}", "[]", "{", "{}x", "{}{}", "{\"a\":1}", "{\"a\":{}}", "{\"a\"}", "{,}", "nul",
        "{\(tensor("a", "U8", "1,", "0,1"))}", "{\(tensor("a", "U8", "-1", "0,1"))}",
        "{\(tensor("a", "U8", "1.0", "0,1"))}", "{\(tensor("a", "U8", "01", "0,1"))}",
        "{\(tensor("a", "U8", "1e0", "0,1"))}", "{\(tensor("a", "U8", "9223372036854775808", "0,1"))}",
        "{\(tensor("a", "U8", "1", "0,1,1"))}", "{\(tensor("a", "U8", "1", "1"))}",
        "{\(tensor("a", "U8", "1", "0,1")),}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"more\":[1]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", "{\"__metadata__\":{\"k\":1}}",
        "{\"__metadata__\":{\"k\":\"\\ud800\"}}",
        "{\"__metadata__\":{\"k\":\"\\q\"}}", "{\"__metadata__\":{\"k\":\"\u{1}\"}}", "{\"__metadata__\":{\"k\":\"",
    ])
    func refusesHeadersThatAreNotTheFormat(json: String) throws {
        let path = try write(header: json, dataByteCount: 1)
        let error = #expect(throws: SafetensorsError.self) { _ = try SafetensorsFile.Reader(path) }
        guard case .malformedHeader = error else {
            Issue.record("\(json) gave \(String(describing: error))")
            return
        }
    }

    @Test func refusesHeadersThatClaimTooMuch() throws {
        for claimed: UInt64 in [1 << 20 + 1, 1 << 40, .max, 1 << 63] {
            let path = try directory.write(Self.length(claimed) + [0x7B, 0x7D], to: "bomb.safetensors")
            #expect(throws: SafetensorsError.headerTooLarge(byteCount: claimed)) {
                _ = try SafetensorsFile.Reader(path)
            }
        }
        let path = try directory.write(Self.length(3) + [0x7B, 0x7D], to: "short.safetensors")
        #expect(throws: SafetensorsError.headerBeyondEndOfFile(headerByteCount: 3, fileByteCount: 10)) {
            _ = try SafetensorsFile.Reader(path)
        }
    }

    @Test func refusesAFileCutAnywhere() throws {
        let path = directory.file("a.safetensors")
        try SafetensorsFile(
            tensors: [StoredTensor("a", shape: [3], [Float(1), 2, 3]), StoredTensor("b", shape: [1], [Double(4)])],
            metadata: ["k": "v"]
        ).write(to: path)
        let whole = try bytes(of: path)
        for count in 0..<whole.count {
            let cut = try directory.write(Array(whole.prefix(count)), to: "cut.safetensors")
            #expect(throws: SafetensorsError.self, "cut to \(count) bytes") { _ = try SafetensorsFile.Reader(cut) }
        }
    }

    @Test func neverCrashesOnChangedHeaders() {
        let json = Array(
            "{\"__metadata__\":{\"k\":\"\\u00b5\\ud835\\udecd\"},\(Self.tensor("a", "F32", "2,3", "0,24"))}  ".utf8)
        var generator = Xorshift(seed: 2)
        var accepted = 0
        for _ in 0..<20_000 {
            var changed = json
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let position = Int.random(in: 0..<changed.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: changed[position] = UInt8.random(in: 0...255, using: &generator)
                case 1: changed.remove(at: position)
                default: changed.insert(changed[Int.random(in: 0..<changed.count, using: &generator)], at: position)
                }
            }
            if (try? SafetensorsHeader(parsing: changed, dataByteCount: 24)) != nil { accepted += 1 }
        }
        // Changes inside names and spaces are harmless, most others are not.
        #expect((1..<10_000).contains(accepted), "\(accepted) of 20,000 changed headers were accepted")
    }

    @Test func refusesWhatIsNoRegularFile() {
        let cases: [(String, FileError.Cause)] = [
            (directory.path, .isADirectory), ("/dev/zero", .notARegularFile), (directory.file("none"), .missing),
            ("/dev/null/x", .notADirectory),
        ]
        for (path, cause) in cases {
            #expect(throws: SafetensorsError.file(FileError(.open, path, cause))) {
                _ = try SafetensorsFile.Reader(path)
            }
        }
    }

    @Test func doesNotWriteAHeaderThatItWouldNotRead() throws {
        let file = SafetensorsFile(tensors: [], metadata: ["k": String(repeating: "x", count: 1 << 20)])
        let error = #expect(throws: SafetensorsError.self) { try file.write(to: directory.file("a")) }
        guard case .headerTooLarge = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try directory.names().isEmpty)
    }

    private static func tensor(_ name: String, _ type: String, _ shape: String, _ offsets: String) -> String {
        "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":[\(shape)],\"data_offsets\":[\(offsets)]}"
    }

    private static func length(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

    private func write(header: String, dataByteCount: Int) throws -> String {
        let json = Array(header.utf8)
        return try directory.write(
            Self.length(UInt64(json.count)) + json + Array(repeating: 0, count: dataByteCount), to: "a.safetensors")
    }
}
