"""Makes libs/ops/src/host/host-cases.json: what PyTorch answers when host operators are called directly.

Run with a Python that has PyTorch 1.13. Each case is [operator, arguments, result or {"error": message}].
"""
import json
import math
import os

import torch

A = torch.ops.aten
cases = []


def encode(v):
    if isinstance(v, bool):
        return {"bool": v}
    if isinstance(v, int):
        return {"int": str(v)}
    if isinstance(v, float):
        if math.isnan(v):
            return {"float": "nan"}
        return {"float": v if math.isfinite(v) else ("inf" if v > 0 else "-inf")} if v != 0 or math.copysign(1, v) > 0 else {"float": "-0"}
    if isinstance(v, complex):
        return {"complex": [encode(v.real)["float"], encode(v.imag)["float"]]}
    if isinstance(v, str):
        return {"str": v}
    if isinstance(v, list):
        return {"list": [encode(x) for x in v]}
    if isinstance(v, tuple):
        return {"tuple": [encode(x) for x in v]}
    if isinstance(v, torch.device):
        return {"device": str(v)}
    return None


def t(name, *args):
    given = [encode(a) for a in args]
    try:
        operator = getattr(A, name)
        if name == "pow":
            kinds = [type(a).__name__ for a in args]
            operator = getattr(operator, kinds[0] if kinds[0] == kinds[1] else "_".join(kinds))
        result = encode(operator(*args))
    except UnicodeDecodeError:
        return
    except Exception as error:
        message = str(error).splitlines()[0]
        if "expected at most" in message or "Expected a value of type" in message or "any schema" in message:
            return
        result = {"error": message}
    cases.append([name, given, result])


for s,p,i,j in [("abc","",0,-1),("abc","",3,-1),("abc","",4,-1),("abc","b",1,2),("abc","c",0,2),("","a",0,-1),("","",0,-1),("","a",1,-1),("abc","c",-1,-1),("abc","a",-5,-1),("abc","c",0,-2),("abc","a",0,-9),("abcabc","bc",2,10),("abc","b",2,1)]:
    for f in ['find','rfind','startswith','endswith','index','rindex']: t(f,s,p,i,j)
    if p: t('count',s,p,i,j)
for s in ["a\nb","a\n\nb\n","a\r\nb\rc","\n","","a\x0bb\x0cc\x1cd\x1de\x1ef","a\n"]:
    t('splitlines',s,False); t('splitlines',s,True)
for s in ["","a","A","1"," ","a1","Ab","_a","a b","1a","Hello World","Hello world","HELLO","~","\x00","\t"]:
    for f in ['isalnum','isalpha','isdecimal','isdigit','isidentifier','islower','isnumeric','isprintable','isspace','istitle','isupper']: t(f,s)
for s in ["a","ab","abc",""]:
    for w in range(0,8): t('center',s,w,"*")
for s in ["a","-a","+12","-","--5",""]:
    t('zfill',s,5)
t('splitlines',"a",False)
t('rsplit',"a,b,,c",",",-1)
t('rsplit',"a,b,,c",",",1)
t('rsplit',"a,b,,c",",",0)
t('split',"a,b,,c",",",0)
t('split',"a,b,,c",",",2)
t('split',"",",",-1)
t('split',"",None,-1)
t('rsplit',"",",",-1)
t('split',"  ",None,-1)
t('split',"a b c",None,0)
t('split',"a  b c",None,2)
t('rsplit'," a  b "," ",-1)
t('split',"a\tb\nc",None,-1)
t('replace',"aXbXc","X","yy",-1)
t('replace',"aXbXc","X","yy",0)
t('replace',"aXbXc","X","yy",1)
t('replace',"abc","","-",2)
t('expandtabs',"a\tbc\td\n\te",8)
t('expandtabs',"a\tb",1)
t('expandtabs',"\t",-1)
t('title',"they're bill's UK")
t('capitalize',"")
t('capitalize',"éA")
t('swapcase',"aBc1")
t('title',"3d x-ray")
t('istitle',"They'Re A")
t('istitle',"")
t('istitle',"A1b")
t('ljust',"a",4,".")
t('rjust',"a",4,".")
t('ljust',"a",-1,".")
t('lstrip',"xxaxx","x")
t('strip',"","x")
t('strip',"xx","x")
t('partition',"",",")
t('partition',"a,b","")
t('rpartition',"a,b","")
t('chr',65)
t('chr',127)
t('ord',"a")
t('ord',"")
for a,b in [(7.5,2),(-7.5,2),(7.5,-2),(7.0,2.0),(-7,2.0),(7,-2.0),(1e20,3.),(-0.5,1.),(5.,float('inf')),(-5.,float('inf'))]: t('divmod',a,b); t('floordiv',a,b); t('remainder',a,b); t('fmod',a,b); t('mathremainder',a,b)
for a,b in [(7,2),(-7,2),(7,-2),(-7,-2),(-2**63,3)]: t('divmod',a,b);t('floordiv',a,b);t('remainder',a,b);t('fmod',a,b);t('mathremainder',a,b);t('__round_to_zero_floordiv',a,b)
for x in [2.5,3.5,-2.5,0.5,1.5,-1.5,2.4999999,1e300,float('inf'),float('nan'),-0.2]: t('round',x); t('ceil',x); t('floor',x); t('frexp',x); t('modf',x)
t('Int',"-0")
t('Int',"+5")
t('Int',"0x10")
t('Int',"- 5")
t('Int',"9223372036854775807")
t('Int',"9223372036854775808")
t('Int',"-9223372036854775808")
t('Float'," 1.5")
t('Float',"1.5 ")
t('Float',"-inf")
t('Float',"NaN")
t('Float',"1e-400")
t('Float',"1e-310")
t('Float',".5")
t('Float',"5.")
t('Float',"1e")
t('Float',"")
t('Float',"infinity")
t('Float',"0x1p3")
t('Float',"1_0")
for a,b in [(0.,-1.),(0.0,0.0),(-8.,1/3),(1.,float('nan')),(-1.,float('inf')),(2,3),(2,-3),(0,-1),(0,0),(2.,3),(-2.,3),(2,0.5),(-2,0.5)]: t('pow',a,b)
for z in [complex(1,2),complex(-1,0),complex(0,1),complex(-1,-0.5),complex(0.5,-2),complex(3,0)]:
    for f in ['exp','log','sqrt','sin','cos','tan','asin','acos','atan','sinh','cosh','tanh','asinh','acosh','atanh','log10','angle','neg']: t(f,z)
for x in [0.5,-0.5,0.,1.,2.,-2.5,10.,170.5,0.001,3.7]:
    for f in ['erf','erfc','gamma','lgamma','expm1','log1p','degrees','radians','fabs','angle','sqrt','log10']: t(f,x)
t('ldexp',1.5,3)
t('ldexp',1.5,-1080)
t('ldexp',1.5,2000)
t('copysign',3.,-0.)
t('copysign',-3,2)
t('atan2',1,-1)
t('polar',2.,1.)
t('log',8,2)
t('log',8.,2)
t('log',complex(1,1),2)
t('gcd',0,0)
t('gcd',12,-18)
t('factorial',0)
t('factorial',20)
t('factorial',21)
t('device',"cuda:1")
t('device',"foo")
t('device',"cpu:x")
t('device',"cpu:0")
t('__getitem__',"abc",5)
t('__getitem__',"abc",-5)
t('ord',"ab")
t('chr',300)
t('chr',-1)
t('chr',200)
t('len',"é")
t('upper',"éa")
t('split',"a,b","")
t('split'," a  b ",None,-1)
t('split'," a  b c ",None,1)
t('rsplit',"a b c"," ",1)
t('splitlines',"a\nb\r\nc\x0bd\x0ce\x1cf\x85g\u2028h")
t('count',"aaaa","aa",0,-1)
t('find',"abc","",5,-1)
t('find',"abcabc","c",-2,-1)
t('index',"abc","z",0,-1)
t('rindex',"abc","z",0,-1)
t('replace',"aaa","a","b",2)
t('center',"a",6,"*")
t('center',"a",5,"ab")
t('zfill',"-12",5)
t('zfill',"+1",1)
t('join',",",["a","b"])
t('hash',"abc")
t('hash',5)
t('hash',1.5)
t('hash',True)
t('hash',"abcdefghij")
t('hash',0.0)
t('hash',-3)
t('hash',(1,2))
t('hash',"")
t('Int',"  12")
t('Int',"12 ")
t('Int',"99999999999999999999")
t('Int',"")
t('Float',"1e5")
t('Float',"abc")
t('Float',"1e999")
t('Float',"1.5x")
t('Float',"0x10")
t('Float',"inf")
t('floordiv',1,0)
t('floordiv',1.,0.)
t('factorial',-1)
t('factorial',25)
t('__lshift__',1,64)
t('__lshift__',1,-1)
t('__rshift__',-1,70)
t('gcd',-4,6)
t('round',2.5)
t('round',-0.5)
t('round',3)
t('pow',2,-1)
t('pow',2,70)
t('divmod',7,0)
t('divmod',7.,0.)
t('divmod',-7,2)
t('divmod',-7.5,2.)
t('floordiv',-7.5,2)
t('remainder',-7.5,2.)
t('remainder',7,-3)
t('remainder',5.0,0.0)
t('bin',-5)
t('hex',-255)
t('oct',-8)
t('bin',0)
t('slice',[1,2,3],None,None,0)
t('slice',"abc",None,None,0)
t('slice',"abcdef",4,1,-1)
t('slice',"abcdef",None,None,-1)
t('slice',[1,2,3,4],None,None,-1)
t('slice',[1,2,3,4],3,None,-2)
t('pop',[1,2],5)
t('insert',[1],5,2)
t('__range_length',0,5,0)
t('__derive_index',2,1,3)
t('index',[1,2],5)
t('remove',[1],3)
t('Delete',[1],3)
t('mul',[1],-1)
t('sum',[True,True])
t('any',["",""])
t('partition',"abcab","b")
t('rpartition',"abcab","b")
t('partition',"abc","z")
t('rpartition',"abc","z")
t('expandtabs',"a\tb\t\tc",4)
t('expandtabs',"a\tb",0)
t('title',"hello wORLD x2y")
t('capitalize',"hELLO")
t('istitle',"Hello World")
t('isidentifier',"1a")
t('strip'," \r a \r "," \n\t\f\v")
t('startswith',"abc","b",1,-1)
t('endswith',"abc","b",0,2)
t('endswith',"abc","c",0,-1)
t('isprintable',"")
t('isspace',"")
t('isalpha',"")
t('isupper',"A1")

path = os.path.join(os.path.dirname(__file__), "..", "libs", "ops", "src", "host", "host-cases.json")
with open(path, "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
