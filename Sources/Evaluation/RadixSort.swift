/// Sorts in ascending order of some of the words' bits, from the least significant digit up (Knuth, TAOCP 3, §5.2.5 R).
///
/// Words that agree in these bits keep their order. Each digit of eleven bits takes one pass over all words, so the time
/// grows with their number alone; a second array of the same size lives meanwhile.
func radixSort<Word: FixedWidthInteger>(_ words: inout [Word], byBits bits: Range<Int>) {
    let digitWidth = 11
    var scratch = [Word](repeating: 0, count: words.count)
    for low in stride(from: bits.lowerBound, to: bits.upperBound, by: digitWidth) {
        let mask = 1 << min(digitWidth, bits.upperBound - low) - 1
        var places = [Int](repeating: 0, count: mask + 1)
        words.withUnsafeBufferPointer { words in
            scratch.withUnsafeMutableBufferPointer { scratch in
                for word in words { places[Int(truncatingIfNeeded: word >> low) & mask] += 1 }
                var next = 0
                for digit in places.indices { (places[digit], next) = (next, next + places[digit]) }
                places.withUnsafeMutableBufferPointer { places in
                    for word in words {
                        let digit = Int(truncatingIfNeeded: word >> low) & mask
                        scratch[places[digit]] = word
                        places[digit] += 1
                    }
                }
            }
        }
        swap(&words, &scratch)
    }
}
