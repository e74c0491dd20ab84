/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and what python3-jwcrypto 1.1 made for them: it puts "epk" in the unprotected header, and
 * the P-256 vector has "apu" (Alice) and "apv" (Bob).
 */
#ifndef BAWN_TEST_JOSE_VECTORS_H
#define BAWN_TEST_JOSE_VECTORS_H

static const char pem_p256[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQItgeGPvVn1rww7r\n"
                               "2XSbN/5hrwc1ehhvx17SAUBqCeChRANCAASKCVObCIBVvSeW6ZARpRJP7YwjBj0Q\n"
                               "OQfAYQcaDO828lDxZzl+GPUOwPNeP/ZSwsxJLbB8Uu3HSLYLTpwmVj8z\n"
                               "-----END PRIVATE KEY-----\n";
static const char jwe_p256[] =
    "{\"ciphertext\":\"DpP4pw3WzifDz5wh9QBL\",\"encrypted_key\":\"nrmunlh1ldxNIL_XhJ5zgsL_"
    "LOtt0DlwtC"
    "OZiWjW8ehAbHY_vRJ3iQ\",\"header\":{\"epk\":{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":"
    "\"OO1Cc4oyQ0KsIYS_THN"
    "Bmpv3pScYVVm3utLn0lbmNqU\",\"y\":\"l9MbgELrxMoQP124u7wwXXsz9BWfKBC83ujfyFXcBH4\"}},\"iv\":"
    "\"43Tw"
    "pcQE60j9aZLq\",\"protected\":\"eyJhbGciOiAiRUNESC1FUytBMjU2S1ciLCAiZW5jIjogIkEyNTZHQ00iLCAiY"
    "XB1IjogIlFXeHBZMlUiLCAiYXB2IjogIlFtOWkifQ\",\"tag\":\"6bZw9bmLRpLkVF43OrwMrg\"}";

static const char jwt_p256[] =
    "eyJhbGciOiAiRVMyNTYiLCAia2lkIjogIm9uZSIsICJ0eXAiOiAiSldUIn0.eyJpc3MiOiAiYmF3biIsICJleHAi"
    "OiAyMDAwMDAwMDAwLCAiaWF0IjogMTcwMDAwMDAwMH0.df2mexByzv9NXkNJFHzTE2KjantlVuS_x8KkKUEFB7ar"
    "4BWlXM76GQP5OwRCF3k1Wk1xiE5RGXvo93dbjPbROg";

static const char pem_p384[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCkdAJlrQ6RqY4sYyze\n"
                               "F/B8cdZ5gzdIgs9jKUbgya+M6TO6VfIGLLWAcs9GrAz+z4OhZANiAARtRIGeXNvw\n"
                               "kIZHanrlmi/zt5tljLDYOON3fUalXhUpEeKxkMcxxcmR7cTO5vKzpwPQiv3hzTYx\n"
                               "6W19LY3hcPWeCDmgAxXo8M4PAE74X8Un0UKz6vbGqEVixneN4hQo1b4=\n"
                               "-----END PRIVATE KEY-----\n";
static const char jwe_p384[] =
    "{\"ciphertext\":\"FxMAVEqn6q8t1cH03KTe\",\"encrypted_key\":\"PvNCv2VCbJtQSnSXCgIAG_"
    "Jpn8CNcvAaBl"
    "mZlNWmnsSDqE6Jlmr_Dg\",\"header\":{\"epk\":{\"crv\":\"P-384\",\"kty\":\"EC\",\"x\":"
    "\"YfXUa0b46eXnhl94y4u"
    "i-4Wc12V806RILainsgQri7X9oZAS2ZGQ2_OZ3HTVmvwc\",\"y\":\"lh1VdmKBPhU7bSlNn2IBCPh4GMRoGOVg5wMM"
    "lJVuIK31g41URT-JN1uQjF35Wwys\"}},\"iv\":\"CYbFH4jL5ruLui4b\",\"protected\":"
    "\"eyJhbGciOiAiRUNESC1"
    "FUytBMjU2S1ciLCAiZW5jIjogIkEyNTZHQ00ifQ\",\"tag\":\"6PljKS2-ItKHXVbfw6Kiww\"}";

static const char jwt_p384[] =
    "eyJhbGciOiAiRVMzODQiLCAia2lkIjogIm9uZSIsICJ0eXAiOiAiSldUIn0.eyJpc3MiOiAiYmF3biIsICJleHAi"
    "OiAyMDAwMDAwMDAwLCAiaWF0IjogMTcwMDAwMDAwMH0.nvvMpUiAcroGEc-qcutjeJHJy4KLxmORS6BwhnMDgp2j"
    "dbD5BmFgXDao51Nv_JQmz09vB9wU4P7QLH7iQBC6U6VhdKPDg0DGq2nQeE3yGVOrAy7oHv52T1DVvYh09kZ4";

static const char pem_p521[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBdl3m3xpGhu9G2I7B\n"
                               "rq3UAFvyw++Vu/L66JQncwLf8ZO5ETJAWPQ2WMTaLjA9zJGgyj9zf5lMAqdNs7My\n"
                               "3MEoRx6hgYkDgYYABAE+nypVgXKjnxvltBzuD7l59eTrGVi1TTsCrIEzT7DYpHOv\n"
                               "Wh/1JcYs+wcZL7qyRNvBk9WAvlyjaxfEEITpfq2evgG1y+f9y+CIzsEkTmUMbE9z\n"
                               "NnUGlpuUvS58uaYZg8diN8js2sQCm30pFnJY35u4KZzvJptp2Y7wfM+bUSkxu+m/\n"
                               "MQ==\n"
                               "-----END PRIVATE KEY-----\n";
static const char jwe_p521[] =
    "{\"ciphertext\":\"_Z37MW7vctkEeBbuo_d9\",\"encrypted_key\":\"Ulcg2X2_"
    "9ijc283xwwWrk7cftHvI41RhM1"
    "j2xPpmbH3viXmBTOVs2w\",\"header\":{\"epk\":{\"crv\":\"P-521\",\"kty\":\"EC\",\"x\":"
    "\"AAOLuF3Z91E2OkWLSQO"
    "658dzdUF0s3Sit8b4ZlBxjB1mhW2MiOAEZcGc3TCEJgiF5C3oJEdAzvcGHfGaZ2N-TWsa\",\"y\":\"AQuxK5lVP5LR"
    "U6jzY-GtGe180quJri_gASOVNU8p61X4JHmRK8z3WzEG5VROlTOXZF9K1GZ-1wZUa9nmTPUJ8Iz4\"}},\"iv\":\"gD"
    "ttfPy8Oz8ffDP5\",\"protected\":\"eyJhbGciOiAiRUNESC1FUytBMjU2S1ciLCAiZW5jIjogIkEyNTZHQ00ifQ\""
    ",\"tag\":\"HQrVmoXh2XNeCMl80HmrpA\"}";

static const char pem_rsa[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCkJYMGwgPIUDT8\n"
                              "uYDd2SMYKwvXWb/Mujbv+z1vSlgNL/zCAbwTfd5qGQggvbtG4rZaeN4P58GjHXXt\n"
                              "0TQaJYG3ng0F/LUDrJGCettS6Q+L3TTFy1j4RqJeSaUv0KmzglPs1WJ9ztOvihWB\n"
                              "R91ae9zYN4xgC5onvQwDAKtydP4hyixxlDyR/dRHYYWxlveDBHcXVMPL4Waqf7ZX\n"
                              "b0SmaYsK51RlIwzjcp3UGGdIKBsx6lcN+NsZCB5LKp7GRGsaoK/59DDWy68lxbMX\n"
                              "7yquz3FJP72wJKqIdjvtIyZgT6cDBN9L82bLT6TsEf/Zb4J0W8C3PL1s7ALvFzn/\n"
                              "h2JCBW3fAgMBAAECggEAGV4ODUMk6CtJEmOCtbD4b6Q7Z2kLL1L56YWCKDWs55Yq\n"
                              "cZBou08WSn7wLCCA6u1fhsTWIKQi30KkISrVv/1a5NXBUn225cigu4b2vS31Gprc\n"
                              "LH3cE+Z/8k1fAMWLwbOwT6dnL2UsKXKQFz4pcxyK8+6bEZQexem9NlDqA2gZhtQN\n"
                              "72+CxaLqlN3+5On+uuq6zCwyxAAh21pEHURcppIu4k5Z2hhW4lprCSH1oH5Qmi35\n"
                              "gXXimH7LR5DJFyBWkLBF7WzlpmKrEIVvT2EELANJLdyodZzX6U8zefIe8jEY2OPk\n"
                              "u7sbGecI7Jik+XwQqoZwKcKvqU2DfTSV4Qyu/tWoKQKBgQDOOEfdEHME5AihSroO\n"
                              "xJ0jP3AkWQAd4HVA2QCYQb77nC2VwUZTjblUREI8Kj5YQhXd2r9f/qvbsmIAZDVF\n"
                              "hGkm6VWdqQYPB5bLYX5+7lE5WyVZEki6448P+6CBm8ifMxdv73jfzTH4+D0b9GDa\n"
                              "y6r58xCO/0aFQfyA//vsNQ0SxwKBgQDLxTx+lVqYQhCuK40gOha4kzbEcH53jwfj\n"
                              "209Ll4WKWjD2ra5rNLj0AWBwTYN71vTWxPo2qJDzFPi+mpLxpNJ4baKwVPAF6H4i\n"
                              "CI3CFSOt1buQ5/PRMOq1EQKfiTukyytkUzo5n1kuGpuHVbc+CVfvTuqmpl6xmsCJ\n"
                              "G/3Kvvs0KQKBgD9I5kThF2sYz80vsYl2rQJ0JWYCKhcBGvqbnaMcChANDbA3b+2U\n"
                              "QJurluf/zsInBa7fwnsjHHp/c7PLDM4YpGxcjvmjNUjHe29OrBMn76U6Y2vCQK+Z\n"
                              "xf2RquAbfqXceATR6LZFsmBFTfuWM2LxvbaW8S3xCSM77NFpvVXvseNhAoGAArOx\n"
                              "0qfeVKiDmhufum6qwHXLQx2Ov70YyK+uxHzU23nIrmytJGTFkw61naeZd7no8zQX\n"
                              "cUQY7/A2QCjCjAu4crpZbucha6KikYb1gj5Pg82SuCArPnncktwP4deq/8tl3uWv\n"
                              "nvX6876Mk2XSkTMEhHrSZ7VLCiXYKblCSz7vC8kCgYBFZZbHlzE/TwgPofot2AYB\n"
                              "0ud9YbJNQ493Ddq/GX9WLQoM2xflDVvTM0rn0llv3qz+cahyXuWTj1gAoVm4lyXO\n"
                              "kwJmx2pSWp9cY0wt+8Ver/Yu08PMCi2cs9pRWwcmWlO9ebOY//JhaukD+qPbuzDV\n"
                              "u28GHr2RZTnulATWl4YH3g==\n"
                              "-----END PRIVATE KEY-----\n";
static const char jwe_rsa[] =
    "{\"ciphertext\":\"KbS0lWRJlt1rPTLWCA\",\"encrypted_key\":"
    "\"iS1nDj6l7L8iBZ5LQ9CvJZPPg9KnxkRYGiae"
    "YTKz_dTmladVFo_T17cnJE8N4Z5eDIxRvaN641WFqjmPAgbzSJU3U7uMqk9AEps2pdKv8rVmmL-LEp33BetsCqDD"
    "UcawIlhLoFNqyaNcx4CfgRSC0GBP_BTL-P5sZlIKwACIV9apGglAUcbbcSjSOnqOoW9o64cSM4_o-AaVW-oro7vq"
    "tqb-Zb5OSiOlIzX13JKBwfmey-2EV-tF-4MjX2v5o8fBYX_QQjFvGYk0I4h6pexPVXrd0CkIFXdhDlu2ONw7GX6b"
    "72E84ShPeQT1vz2RqDQXKoMjdhXRnJ8CHg3EuLVb0A\",\"iv\":\"gE2nGhrqoxbiqUF4\",\"protected\":"
    "\"eyJhbGc"
    "iOiAiUlNBLU9BRVAtMjU2IiwgImVuYyI6ICJBMjU2R0NNIn0\",\"tag\":\"_wBHHmFXpM2uUkEkJhnPIg\"}";

static const char pem_rsa1024[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAL/lMm9/pT85wf1w\n"
    "MtG6o4PSfaomM+leUDWT9lGakMh2AjpncgptjNAN9iClHP1sOrS/9BClCx0vrr3f\n"
    "pJKJDyqDCLGVjE1oeMhFdK0a7B1zVTByCPKYeSLnrWoFOqH+LYjA5zDw4AfZGDGH\n"
    "UXMTjSemXS89Lk/+Kl6od4RsutjPAgMBAAECgYEAimugCAHBh2v4XQKUBellje9G\n"
    "KnhINeyMWzmSEqc2DQPi85IvFwqS6nlHs6Cm2r85UaytN1x2OeVtXRV3tyQaxUXY\n"
    "XUIKukU7lUmP02LjTb0lEeml8GKWWN+Ai2OYd/NNLOI0U0r/wjnXiBXSaMMzIZU1\n"
    "nLHUQvNE2FPo9pLOkdECQQDg80etRzIGIX0Qg48piPprIQnoQCejsiF4v67PzmUf\n"
    "+qbcPWI9SKrKjjKcb14ZLOoqLQrBFyq3fKWgk4ejNCUjAkEA2mHnRJQEIZ5s8AK7\n"
    "pwhEB7N9VGxjET8pbluXQDBm3qtQ+VUHd7yBYmaXYbOdtD/Jrw1mHA/tpHi+BQN1\n"
    "TJcmZQJASBWNbXh4DkDi+8y8rpmnbXbr3tHYIfuuACykjxDblPDUUZUWCv9jQ39n\n"
    "tnt1kumyrAs8+/05ggzeYmOEPocyMwJACPoZTaJgARnIFJ2oJReb5E0mi7/g2qak\n"
    "B1tQflz+/YxBSd6K7gsbrnXVJzkA9JXiroV4exLUi/xCo2Ye/kUAWQJBAJwNGumL\n"
    "sTTt+vZhOcX6rhpMPyy6jAoEfUTGyWuKGh5p7jEIRzyYjBo0dnS4B2IauPJXZuMP\n"
    "XP+g+SJa3SPJVrk=\n"
    "-----END PRIVATE KEY-----\n";

#endif
